"""The time of a request that threads show, part by part: what they ran, and what they waited for.

By Little's law the mean number of threads somewhere, over the answers per second, is the time that
a request spends there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import NamedTuple, TypeAlias

import numpy as np

from perfhunt.analysis.blame.charge import Cause, ThreadCounts
from perfhunt.analysis.blame.frames import FunctionKey, in_event_loop
from perfhunt.analysis.blame.idle import CLIENT_SOCKET
from perfhunt.analysis.blame.reading import SpanReading, on_cpu
from perfhunt.analysis.blame.snapshots import FUTEX, Snapshot
from perfhunt.analysis.blame.wait_for import Contention
from perfhunt.analysis.diagnosis.costs import mean_error, share_error
from perfhunt.analysis.diagnosis.limiting import STOPPED
from perfhunt.analysis.diagnosis.waterfall.serving import Serving
from perfhunt.analysis.trial.there import There
from perfhunt.model.finding import LatencyPart
from perfhunt.model.interval import sampling_error
from perfhunt.model.profile import Frame
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Seconds, Share, format_share

_OF_STATE: Mapping[str, LatencyPart] = {
    str(ThreadState.ON_CPU): LatencyPart.CPU,
    str(ThreadState.RUN_QUEUE): LatencyPart.RUN_QUEUE,
    str(ThreadState.GIL): LatencyPart.GIL,
    str(ThreadState.LOCK): LatencyPart.LOCK,
    str(ThreadState.SOCKET): LatencyPart.SOCKET,
    str(ThreadState.POLL): LatencyPart.POLL,
    str(ThreadState.SLEEP): LatencyPart.SLEEP,
    str(ThreadState.DISK): LatencyPart.DISK,
    str(ThreadState.AWAIT): LatencyPart.AWAIT,  # a coroutine, which is on no thread
    str(ThreadState.LOOP): LatencyPart.LOOP,  # one that could go on
    str(Cause.POOL): LatencyPart.POOL,  # the causes of a charge, where they are not states
    str(Cause.HANDOFF): LatencyPart.HANDOFF,
    str(Cause.PACED): LatencyPart.PACED,
}
# One line each, whoever waits: the function that waits has no part in how long.
ONE_LINE = frozenset({LatencyPart.RUN_QUEUE, LatencyPart.NEIGHBOURS, LatencyPart.GIL})
NOBODY: FunctionKey = ("", "")
TIMER = "timer"  # the detail of a sleep whose end an event loop has to see
NEIGHBOURS = 2  # other programs by name
UNHELD = "unheld"  # the detail of a lock whose holder was not seen: its function is the waiter


class PartKey(NamedTuple):
    """What kind of time, in or for which function (`NOBODY`: that does not matter), and what else
    tells it apart: an endpoint, a library's call, what threads did meanwhile.
    """

    kind: LatencyPart
    function: FunctionKey = NOBODY
    detail: str = ""


_Series: TypeAlias = dict[tuple[PartKey, str], ThreadCounts]


@dataclass(slots=True)
class Time:
    """Seconds of a request, with their standard error."""

    value: Seconds = 0.0
    error: Seconds = 0.0

    def add(self, value: Seconds, error: Seconds) -> None:
        """Put two parts together whose errors are independent."""
        self.value += value
        self.error = sqrt(self.error**2 + error**2)


@dataclass(slots=True)
class Seen:
    """What threads show of one span, by part. `error` is that of the sum, for this very span: parts
    that trade places leave it as it is.
    """

    parts: dict[PartKey, Time] = field(default_factory=dict)
    error: Seconds = 0.0

    @property
    def total(self) -> Seconds:
        return sum(time.value for time in self.parts.values())

    def add(self, key: PartKey, value: Seconds, error: Seconds) -> None:
        """Add to a part."""
        self.parts.setdefault(key, Time()).add(value, error)


def kind_of(state: str) -> LatencyPart:
    """The kind of time that a thread's state is, or the cause of a charge."""
    return _OF_STATE.get(state, LatencyPart.OTHER)


def seen_parts(serving: Serving, names: SpanReading) -> Seen:
    """What the serving threads of a span show; locks and endpoints are called what they are called
    in `names`, whose instants saw more of them.
    """
    seen = Seen()
    if serving.rate <= 0:
        return seen
    there = _there(serving.reading)
    series, queues = _series(serving, names), _queues(names)
    scales = _scales(serving, series, there)
    for (key, state), counts in series.items():
        if state == ThreadState.ON_CPU:
            continue
        scale = scales[state] / serving.rate
        value, error = there.mean(counts) * scale, mean_error(there.beside(counts)) * scale
        _add(seen, serving, key, value, error, queues)
    _add_cpu(seen, serving, series)
    _add_unplaced(seen, serving, series, queues)
    cpu_known = on_cpu(serving.reading.span) is not None
    counted = [
        counts
        for (_, state), counts in series.items()
        if state not in serving.exact and not (state == ThreadState.ON_CPU and cpu_known)
    ]
    whole = np.sum([np.zeros(serving.reading.account.instants), *counted], axis=0)
    seen.error = sampling_error(there.beside(whole).tolist()) / serving.rate
    return seen


# Such time is short where nothing queues, and waits for nothing but a CPU and the GIL.
RUNNING = frozenset(
    {LatencyPart.CPU, LatencyPart.RUN_QUEUE, LatencyPart.NEIGHBOURS, LatencyPart.GIL}
)


def server_shares(serving: Serving, seen: Seen) -> dict[PartKey, Share]:
    """Of each part on or before a CPU, the share that is of code other than the application's."""
    code = serving.code
    every, server = Counter[LatencyPart](), Counter[LatencyPart]()
    for _, snapshot in serving.snapshots():
        kind = kind_of(snapshot.state)
        every[kind] += 1
        server[kind] += not snapshot.owner.is_app
    shares = {kind: server[kind] / n for kind, n in every.items()}
    shares[LatencyPart.NEIGHBOURS] = shares.get(LatencyPart.RUN_QUEUE, 0.0)
    return {
        key: float(not code.is_app(Frame(*key.function)))
        if key.kind is LatencyPart.CPU and key.function != NOBODY
        else shares.get(key.kind, 0.0)
        for key in seen.parts
        if key.kind in RUNNING
    }


def _there(reading: SpanReading) -> There:
    """What the generator knows of a span's looks."""
    return There.of(reading.span.in_service, reading.account.instants, reading.span.requests)


class _Queues(NamedTuple):
    """The wait for a CPU that is the service's own doing, and the one for a CPU that others had."""

    own: PartKey
    others: PartKey


def _queues(names: SpanReading) -> _Queues:
    """Both, with how often a quota stopped the service where it did, and with the busiest of the
    others where they are known.
    """
    trial, resources = names.span.trial, names.span.resources
    taking = trial.interference.busiest if trial is not None and trial.interference else ()
    others = ", ".join(neighbour.name for neighbour in taking[:NEIGHBOURS])
    throttled = (resources.throttled if resources is not None else None) or 0.0
    stopped = f"in {format_share(throttled)} of the periods" if throttled >= STOPPED else ""
    return _Queues(
        PartKey(LatencyPart.RUN_QUEUE, NOBODY, stopped),
        PartKey(LatencyPart.NEIGHBOURS, NOBODY, others),
    )


def _add(
    seen: Seen,
    serving: Serving,
    key: PartKey,
    value: Seconds,
    error: Seconds,
    queues: _Queues,
) -> None:
    """Add to a part; of the wait for a CPU, what is the service's own doing apart from the rest.
    The scheduler counts that wait, so it has no error.
    """
    if key.kind is not LatencyPart.RUN_QUEUE:
        seen.add(key, value, error)
        return
    own, error = serving.reading.own_part, 0.0 if ThreadState.RUN_QUEUE in serving.exact else error
    seen.add(queues.own, value * own, error * own)
    seen.add(queues.others, value * (1 - own), error * (1 - own))


def _series(serving: Serving, names: SpanReading) -> _Series:
    """Serving threads by part and state, per instant."""
    instants = serving.reading.account.instants
    series: _Series = {}
    endpoints = _endpoints(names, serving.reading)
    for index, snapshot in serving.snapshots():
        if kind_of(snapshot.state) is LatencyPart.LOOP:
            key = _while_loop_was_busy(snapshot, serving.reading.snapshots[index])
        else:
            key = _key(snapshot, names, serving.reading, endpoints)
        counts = series.setdefault((key, snapshot.state), np.zeros(instants))
        counts[index] += 1
    return series


def _while_loop_was_busy(task: Snapshot, present: Sequence[Snapshot]) -> PartKey:
    """The wait of a task that could go on, by what the thread of its loop did at that moment."""
    for thread in (s for s in present if s.sample.pid == task.sample.pid and not s.sample.task):
        if in_event_loop(thread.sample.stack):
            doing = kind_of(thread.state)
            return PartKey(
                LatencyPart.LOOP, NOBODY if doing in ONE_LINE else thread.owner.key, doing
            )
    return PartKey(LatencyPart.LOOP, NOBODY, LatencyPart.OTHER)


def _scales(serving: Serving, series: _Series, there: There) -> dict[str, float]:
    """Per state, by how much instants must be multiplied to agree with the exact time."""
    means: dict[str, float] = {}
    for (_, state), counts in series.items():
        means[state] = means.get(state, 0.0) + there.mean(counts)
    return {
        state: serving.exact.get(state, mean) / mean if mean > 0 else 1.0
        for state, mean in means.items()
    }


def _key(
    snapshot: Snapshot,
    names: SpanReading,
    own: SpanReading,
    endpoints: Mapping[FunctionKey, str],
) -> PartKey:
    """The part that a thread's time belongs to."""
    kind, function = kind_of(snapshot.state), snapshot.owner.key
    if kind in ONE_LINE:
        return PartKey(kind)
    if snapshot.waits_inside:
        contention = names.account.graph.at(snapshot) or own.account.graph.at(snapshot)
        if contention is not None or kind is LatencyPart.LOCK:
            return _lock(contention, function)
    if kind is LatencyPart.SOCKET:
        endpoint = endpoints.get(function, "")
        if endpoint.startswith(CLIENT_SOCKET):
            return PartKey(LatencyPart.CLIENT)
        return PartKey(kind, function, endpoint)
    if kind is LatencyPart.AWAIT:
        return PartKey(kind, function, snapshot.sample.wait_on or snapshot.owner.via)
    if kind is LatencyPart.SLEEP and snapshot.sample.task:
        return PartKey(kind, function, TIMER)
    return PartKey(kind, function)


def _lock(contention: Contention | None, waiter: FunctionKey) -> PartKey:
    if contention is not None and contention.paced:
        return PartKey(LatencyPart.PACED, waiter)
    if contention is None or not contention.holders:
        return PartKey(LatencyPart.LOCK, waiter, UNHELD)
    kind = LatencyPart.LOCK
    if contention.handoff:
        kind = LatencyPart.HANDOFF
    elif contention.is_pool:
        kind = LatencyPart.POOL
    first, *others = sorted(contention.holders)
    return PartKey(kind, first, ", ".join(name for name, _ in others))


def _endpoints(*readings: SpanReading) -> dict[FunctionKey, str]:
    """What each function mostly waits on by name: a state that was corrected has lost it."""
    seen: dict[FunctionKey, Counter[str]] = {}
    for reading in readings:
        for key, targets in reading.account.wait_on.items():
            named = Counter({name: n for name, n in targets.items() if not name.startswith(FUTEX)})
            seen.setdefault(key, Counter()).update(named)
    return {key: names.most_common(1)[0][0] for key, names in seen.items() if names}


def _add_cpu(seen: Seen, serving: Serving, series: _Series) -> None:
    """The exact CPU time, divided among functions as the profile says."""
    use, parts = serving.reading.use, serving.parts()
    weights = {key: weight * parts.get(key, 1.0) for key, weight in use.own.items()}
    whole, state = sum(weights.values()), str(ThreadState.ON_CPU)
    cores = on_cpu(serving.reading.span)
    if state in serving.exact:
        cpu = serving.exact[state]
    elif cores is not None and use.samples:
        cpu = cores * whole / use.samples
    else:
        there = _there(serving.reading)
        cpu = sum(there.mean(counts) for (_, at), counts in series.items() if at == state)
    if not whole:
        seen.add(PartKey(LatencyPart.CPU), cpu / serving.rate, 0.0)
        return
    for key, weight in weights.items():
        own, share = weight / whole * cpu / serving.rate, weight / whole
        seen.add(PartKey(LatencyPart.CPU, key), own, share_error(own, share, weight))


def _add_unplaced(seen: Seen, serving: Serving, series: _Series, queues: _Queues) -> None:
    """Exact time in a state in which no instant saw a thread."""
    placed = {state for _, state in series} | {str(ThreadState.ON_CPU)}
    for state, threads in serving.exact.items():
        if state not in placed and threads > 0:
            _add(seen, serving, PartKey(kind_of(state)), threads / serving.rate, 0.0, queues)


def parts_in(*spans: Seen) -> Iterator[PartKey]:
    """Every part of any of them, once, in a fixed order."""
    yield from sorted({key for seen in spans for key in seen.parts})
