"""Which threads were only waiting for work: learnt from the target without load, never from a list
of names.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from perfhunt.analysis.blame.frames import CallPath, Code, call_path
from perfhunt.model.profile import Frame, FrameKind, Instants, ThreadSample
from perfhunt.model.states import ThreadState

if TYPE_CHECKING:
    from perfhunt.analysis.blame.evidence import Evidence, Span

WaitKey: TypeAlias = tuple[CallPath, str]  # a way through the code and the state a thread is in

# A thread may idle in a state that it entered by its own choice. One that wants a CPU or the GIL
# has work, wherever its stack says it is; so has one that waits for storage.
IDLE_STATES = frozenset(
    {
        ThreadState.LOCK,
        ThreadState.SOCKET,
        ThreadState.POLL,
        ThreadState.SLEEP,
        ThreadState.OTHER,
        ThreadState.UNKNOWN,
        ThreadState.AWAIT,
    }
)
# How the name of a socket begins whose other end is a client of the target.
CLIENT_SOCKET = "client:"
# Where a task waits to be told something: most often, the next message of its client.
_SIGNAL, _ACQUIRE = "Event.wait", "acquire"


@dataclass(frozen=True, slots=True)
class IdleThresholds:
    """From when a wait is how the service idles. Chosen with real services at hand, to keep a
    single worker and to lose what was caught once by chance; not calibrated.
    """

    threads: float = 0.3  # mean threads on a path, from which waiting there is how it idles
    growth: float = 1.15  # knee over baseline; a wait that grows less is not the requests' doing
    looks: int = 12  # at which no request was there, before they say how it idles
    faster: float = 1.5  # rate at the knee over baseline, below which growth says nothing


THRESHOLDS = IdleThresholds()


@dataclass(frozen=True, slots=True)
class IdlePaths:
    """The ways through the code on which a thread of this service waits for work.

    `exact` are those whose leaf is the application's own: there only the thread's state tells
    idling from working.
    """

    code: Code
    paths: frozenset[CallPath] = field(default_factory=frozenset)
    exact: frozenset[WaitKey] = field(default_factory=frozenset)

    def covers(self, sample: ThreadSample) -> bool:
        """Whether the thread was waiting for work (or had no Python stack at all)."""
        if sample.state not in IDLE_STATES:
            return False
        if not sample.stack:
            return True
        if sample.state == ThreadState.POLL and sample.wait_on.startswith(CLIENT_SOCKET):
            return True  # for a client's next request
        path = call_path(sample.stack)
        if path in self.paths or (path, sample.state) in self.exact:
            return True
        if sample.state == ThreadState.SLEEP or _wants_something(sample):
            return False
        return not any(self.code.is_app(frame) for frame in sample.stack)


def _wants_something(sample: ThreadSample) -> bool:
    """Whether a task of Python waits for a thread, a permit or another task. Its request may be
    handled by a library alone, so that no code of the application is on its way there. (Goroutines
    that only libraries know of are everywhere.)
    """
    of_python = sample.task and sample.stack[-1].kind == FrameKind.PYTHON
    if not of_python or sample.state != ThreadState.LOCK:
        return False
    *callers, leaf = (frame.function for frame in sample.stack)
    return leaf != _SIGNAL or any(_ACQUIRE in function for function in callers)


def idle_paths(evidence: Evidence, code: Code) -> IdlePaths:
    """The idle paths of the target: seen with no load at all, or while no request was there, or
    just as often at the knee as at a much lower rate.
    """
    usual = _unmoved_by_load(evidence)
    for unasked in (evidence.idle, _between_requests(evidence.baseline)):
        if unasked is not None:
            means = _mean_waiting(unasked)
            usual |= {wait for wait, mean in means.items() if mean >= THRESHOLDS.threads}
    exact = {(path, state) for path, state in usual if path and _ends_in_app(code, path)}
    return IdlePaths(code, frozenset(path for path, _ in usual - exact), frozenset(exact))


def _between_requests(span: Span | None) -> Instants | None:
    """The looks of a span at which no request was there: what waits then waits for none, though
    clients are connected, as they are not without load. None where there were too few.
    """
    if span is None or span.instants is None or len(span.in_service) != len(span.instants):
        return None
    looks = zip(span.instants, span.in_service, strict=True)
    calm = tuple(look for look, requests in looks if not requests)
    return replace(span.instants, instants=calm) if len(calm) >= THRESHOLDS.looks else None


def _ends_in_app(code: Code, path: CallPath) -> bool:
    function, file = path[-1]
    return code.is_app(Frame(function, file))


def _mean_waiting(instants: Instants) -> dict[WaitKey, float]:
    """Mean threads that wait by choice, per path and state."""
    counts: Counter[WaitKey] = Counter()
    for instant in instants:
        counts.update(
            (call_path(t.stack), t.state) for t in instant.threads if t.state in IDLE_STATES
        )
    return {wait: count / len(instants) for wait, count in counts.items()}


def _unmoved_by_load(evidence: Evidence) -> set[WaitKey]:
    """Waits that did not follow the load: a request's own waits grow with the rate, a worker's wait
    for work shrinks.
    """
    base, knee = evidence.baseline, evidence.knee
    if base is None or base.instants is None or knee.instants is None or not len(base.instants):
        return set()
    if knee.completed < THRESHOLDS.faster * base.completed:
        return set()
    at_base, at_knee = _mean_waiting(base.instants), _mean_waiting(knee.instants)
    return {
        wait
        for wait, mean in at_base.items()
        if mean >= THRESHOLDS.threads and at_knee.get(wait, 0.0) <= THRESHOLDS.growth * mean
    }
