"""Which threads a request's latency passes through, and how long they were in each state, exactly
where the kernel counts it.

A helper that works while the request's own thread waits for it is seen in the wait; a thread that
is as busy at any load works for no request. Neither is latency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from perfhunt.analysis.blame.frames import Code, FunctionKey, in_event_loop
from perfhunt.analysis.blame.reading import EvidenceReading, SpanReading
from perfhunt.analysis.blame.snapshots import Snapshot, ThreadGroup, thread_group
from perfhunt.analysis.diagnosis.known.beside_requests import beside_requests, kinds_of_threads
from perfhunt.model.states import ThreadState
from perfhunt.model.units import PerSecond, Share

# States whose time the scheduler counts to the nanosecond, and those that the sampler sees far more
# often than instants do and in which no thread idles.
_SCHEDULED = (ThreadState.ON_CPU, ThreadState.RUN_QUEUE)
_SAMPLED = (ThreadState.GIL, ThreadState.DISK)
# Of the instants at which threads of a kind hold what others wait for, the part in which it is a
# hand-off: the majority.
_MOSTLY: Share = 0.5
# Times the requests in flight: so many threads and tasks are more than the error of a few looks.
_TWICE = 1.1
# Times the load: a capture that was on for longer than that saw threads finish what was left over
# when the load came off, which is another mixture.
_LONGEST_CAPTURE = 1.2


@dataclass(frozen=True, slots=True)
class _Aside:
    """Kinds of thread that are not counted, and kinds in one process."""

    kinds: frozenset[ThreadGroup] = frozenset()
    of_process: frozenset[tuple[int, ThreadGroup]] = frozenset()

    def has(self, pid: int, kind: ThreadGroup | None) -> bool:
        """Whether threads of that kind, in that process, are not counted."""
        return kind in self.kinds or (pid, kind) in self.of_process


@dataclass(frozen=True, slots=True)
class Serving:
    """The threads of one span that serve requests. `rate` is answers per second of the trial that
    the exact times are of; `exact` mean threads by state, those that are known; `aside` the kinds
    of thread that are not counted.
    """

    reading: SpanReading
    code: Code
    rate: PerSecond
    exact: Mapping[str, float]
    aside: _Aside

    def serves(self, snapshot: Snapshot) -> bool:
        """Whether a thread's time is part of some request's latency."""
        return not self.aside.has(snapshot.sample.pid, thread_group(snapshot.sample))

    def snapshots(self) -> Iterator[tuple[int, Snapshot]]:
        """The serving threads that were busy, each with the number of its instant."""
        for index, present in enumerate(self.reading.snapshots):
            yield from ((index, s) for s in present if self.serves(s))

    def parts(self) -> dict[FunctionKey, Share]:
        """How much of each function that an instant saw runs on serving threads."""
        seen = Counter(s.owner.key for present in self.reading.snapshots for s in present)
        serving = Counter(s.owner.key for _, s in self.snapshots())
        return {key: serving[key] / n for key, n in seen.items()}


def serving_threads(reading: EvidenceReading) -> tuple[Serving, Serving]:
    """Those of the baseline and those of the knee. Raises ValueError without a baseline."""
    if reading.baseline is None:
        raise ValueError("no baseline")
    # Who waits for whom is learnt where many do: at the baseline a chance meeting looks alike.
    helpers = _helpers(reading.knee)
    aside = _Aside(
        helpers.kinds | beside_requests(reading) | _beside_tasks(reading.knee),
        helpers.of_process,
    )
    base, knee = (_serving(span, reading.code, aside) for span in (reading.baseline, reading.knee))
    return base, knee


def _serving(reading: SpanReading, code: Code, aside: _Aside) -> Serving:
    trial = reading.span.trial
    rate = trial.completed if trial is not None else reading.span.completed
    return Serving(reading, code, rate, _exact(reading, aside), aside)


def _helpers(reading: SpanReading) -> _Aside:
    """Kinds of thread that work on behalf of others, which wait for them meanwhile. A process that
    was forked for such work began as one of those that wait, and looks like them but for its pid.
    """
    helping: Counter[tuple[int, ThreadGroup]] = Counter()
    holding: Counter[tuple[int, ThreadGroup]] = Counter()
    waiting: set[tuple[int, ThreadGroup]] = set()
    graph = reading.account.graph
    for present in reading.snapshots:
        for contention in {id(c): c for c in map(graph.at, present) if c is not None}.values():
            waiters = [s for s in present if graph.at(s) is contention]
            holders = {_of_process(s) for s in graph.holders_of(waiters[0], present)}
            holding.update(holders)
            # A server that waits for a thread to begin waits for no request's sake.
            if contention.handoff and any(s.owner.is_app for s in waiters):
                helping.update(holders)
                waiting.update(map(_of_process, waiters))
    mostly = frozenset(kind for kind, n in helping.items() if n > _MOSTLY * holding[kind])
    both = {kind for _, kind in mostly} & {kind for _, kind in waiting}
    return _Aside(
        frozenset(kind for _, kind in mostly if kind not in both),
        frozenset(of for of in mostly - waiting if of[1] in both),
    )


def _of_process(snapshot: Snapshot) -> tuple[int, ThreadGroup]:
    return snapshot.sample.pid, thread_group(snapshot.sample)


def _beside_tasks(reading: SpanReading) -> frozenset[ThreadGroup]:
    """Kinds of thread to which tasks of an event loop hand their work: where tasks are read, what
    they await is seen twice. They are told by the sum, which then exceeds the requests there are.
    """
    everyone = [s for present in reading.snapshots for s in present]
    tasks = [s for s in everyone if s.sample.task]
    threads = [s for s in everyone if not s.sample.task and not in_event_loop(s.sample.stack)]
    homes = {s.sample.pid for s in tasks}
    beside = [s for s in threads if s.sample.pid in homes]
    seen = len(everyone) / max(reading.account.instants, 1)
    if reading.in_flight is None or seen <= _TWICE * reading.in_flight or len(tasks) < len(beside):
        return frozenset()
    return frozenset(thread_group(s.sample) for s in beside)


def _exact(reading: SpanReading, aside: _Aside) -> dict[str, float]:
    """Mean serving threads per state while there was load, where the state sampler knows."""
    span = reading.span
    states = span.states
    if states is None:
        return {}
    kinds = kinds_of_threads(span.instants)
    # Rows of thread 0 are of those that lived shortly: a thread for each request.
    rows = [t for t in states.threads if not t.tid or (t.pid, t.tid) in kinds] or states.threads
    serving = [t for t in rows if not aside.has(t.pid, kinds.get((t.pid, t.tid)))]
    known = (*_SCHEDULED, *_SAMPLED) if states.source == "syscall" else _SCHEDULED
    loaded = 1.0
    if span.trial is not None and span.trial.seconds > 0:
        # The capture ended after the load did, and began before it, or before it had settled.
        whole, settle = span.trial.seconds, span.trial.step.settle
        seconds = whole if states.seconds >= whole else max(whole - settle, states.seconds / 2)
        loaded = max(1.0, states.seconds / seconds)
        if loaded > _LONGEST_CAPTURE:
            return {}
    return {str(s): loaded * sum(t.states.get(s, 0.0) for t in serving) for s in known}
