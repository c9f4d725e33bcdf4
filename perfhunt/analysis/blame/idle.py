"""Which threads were only waiting for work: learnt from the target without load, never from a list
of names.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.blame.frames import Code, Key, path_of
from perfhunt.model.profile import Frame, Instants, ThreadSample
from perfhunt.model.states import ThreadState

Path: TypeAlias = tuple[Key, ...]

# Off the CPU by its own choice. A thread that wants a CPU or the GIL has work, wherever its stack
# says it is.
PARKED = frozenset(
    {
        ThreadState.LOCK,
        ThreadState.SOCKET,
        ThreadState.POLL,
        ThreadState.SLEEP,
        ThreadState.OTHER,
        ThreadState.UNKNOWN,
    }
)
_USUAL = (
    0.3  # mean threads on a path, without load, from which waiting there is how the service idles
)
# a wait that grows less than this while the rate grows `_FASTER` times is not the requests' doing
_FLAT = 1.15
_FASTER = 1.5


@dataclass(frozen=True, slots=True)
class IdleBook:
    """The ways through the code on which a thread of this service waits for work."""

    code: Code
    paths: frozenset[Path] = field(default_factory=frozenset)
    exact: frozenset[tuple[Path, str]] = field(
        default_factory=frozenset
    )  # where the leaf is the application's own

    def covers(self, sample: ThreadSample) -> bool:
        """Whether the thread was waiting for work (or had no Python stack at all)."""
        if sample.state not in PARKED:
            return False
        if not sample.stack:
            return True
        path = path_of(sample.stack)
        if path in self.paths or (path, sample.state) in self.exact:
            return True
        return sample.state != ThreadState.SLEEP and not any(
            self.code.is_app(f) for f in sample.stack
        )


def learn(evidence: Evidence, code: Code) -> IdleBook:
    """The idle paths of the target: seen with no load at all, or just as often at the knee as at a
    much lower rate.
    """
    usual: set[tuple[Path, str]] = set()
    if evidence.idle is not None:
        usual |= {key for key, mean in _parked(evidence.idle).items() if mean >= _USUAL}
    usual |= _flat(evidence)
    exact = {(path, state) for path, state in usual if path and _app_leaf(code, path)}
    return IdleBook(code, frozenset(path for path, _ in usual - exact), frozenset(exact))


def _app_leaf(code: Code, path: Path) -> bool:
    """Whether the path ends in application code, so that only the thread's state tells idling from
    working there.
    """
    function, file = path[-1]
    return code.is_app(Frame(function, file))


def _parked(instants: Instants) -> dict[tuple[Path, str], float]:
    """Mean threads parked per (path, state)."""
    counts: Counter[tuple[Path, str]] = Counter()
    for instant in instants:
        counts.update((path_of(t.stack), t.state) for t in instant.threads if t.state in PARKED)
    return {key: count / len(instants) for key, count in counts.items()}


def _flat(evidence: Evidence) -> set[tuple[Path, str]]:
    """Waits that did not follow the load: a request's own waits grow with the rate, a worker's wait
    for work shrinks.
    """
    base, knee = evidence.baseline, evidence.knee
    if base is None or base.instants is None or knee.instants is None or not len(base.instants):
        return set()
    if knee.completed < _FASTER * base.completed:
        return set()
    at_base, at_knee = _parked(base.instants), _parked(knee.instants)
    return {
        key
        for key, mean in at_base.items()
        if mean >= _USUAL and at_knee.get(key, 0.0) <= _FLAT * mean
    }
