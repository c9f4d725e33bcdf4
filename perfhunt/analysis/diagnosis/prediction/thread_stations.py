"""Stations that a request occupies whether it computes or waits: event loops, the threads of a
pool, tasks that work for others, and what threads hold while others wait for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from perfhunt.analysis.blame.charge import ThreadCounts
from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.analysis.blame.reading import EvidenceReading, SpanReading
from perfhunt.analysis.blame.snapshots import Snapshot, ThreadGroup, thread_group
from perfhunt.analysis.blame.wait_for import Contention
from perfhunt.analysis.diagnosis.costs import Cost, mean_error
from perfhunt.analysis.diagnosis.features import BLOCKING, EventLoopLoad, load_of, loop_loads
from perfhunt.analysis.diagnosis.prediction.cpu_cost import CpuCost
from perfhunt.analysis.diagnosis.prediction.cpu_stations import cpu_shares_of
from perfhunt.analysis.diagnosis.prediction.held import is_seldom, kept_from_others
from perfhunt.analysis.diagnosis.prediction.station import (
    Estimated,
    Station,
    StationKind,
    cpu_parts,
    total,
)
from perfhunt.model.profile import ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Share

Thread: TypeAlias = tuple[int, int]  # pid, tid
Mine: TypeAlias = Callable[[Snapshot], bool]
# Of the busiest event loop's time: a loop with less serves something else.
_BUSY_LOOP: Share = 0.25
# Mean threads from which a group of them is a pool: less are stacks read while they changed.
_LEAST_POOL = 0.8
# Of what a group of threads is busy with at the knee: one that is as busy at a far lower rate
# works for no request.
_ANYWAY: Share = 0.6
# Looks in which a function must be seen waiting: in fewer, it may be the state of the next.
_TORN = 4
_QUEUES = frozenset({ThreadState.LOCK, ThreadState.GIL, ThreadState.RUN_QUEUE})
_OWN_WAITS = frozenset(ThreadState) - _QUEUES - {ThreadState.ON_CPU}
# What a thread may be in while it holds a lock, beside the CPU: what holds it up then as well.
_HELD_UP = frozenset({ThreadState.GIL, ThreadState.RUN_QUEUE})
_HOLDING = frozenset(ThreadState) - {ThreadState.LOCK, ThreadState.ON_CPU}


@dataclass(frozen=True, slots=True)
class _Work:
    """What a span's requests do: `cost` of one in CPU, `shares` of it by function."""

    reading: EvidenceReading
    cost: CpuCost | None
    shares: Mapping[FunctionKey, Estimated]

    @property
    def knee(self) -> SpanReading:
        return self.reading.knee

    def waits(self, mine: Mine, states: Container[str]) -> dict[FunctionKey, Estimated]:
        """Seconds per request that the threads in question are in these states, by function."""
        knee, series = self.knee, dict[FunctionKey, ThreadCounts]()
        for index, present in enumerate(knee.snapshots):
            for snapshot in present:
                if snapshot.state in states and mine(snapshot):
                    empty = np.zeros(len(knee.snapshots))
                    series.setdefault(snapshot.owner.key, empty)[index] += 1
        told, scale = _told(series)
        each = scale / knee.span.completed
        return {
            key: Estimated(float(counts.mean()) * each, mean_error(counts) * each)
            for key, counts in told.items()
        }

    def cpu_share(self, threads: Container[Thread]) -> Share:
        """The part of the target's CPU that these threads use, exact where states are."""
        states = self.knee.span.states
        if states is not None:
            every = {(t.pid, t.tid): t.states.get(ThreadState.ON_CPU, 0.0) for t in states.threads}
        else:
            every = dict[Thread, float]()
            for s in (s for present in self.knee.snapshots for s in present):
                if s.state == ThreadState.ON_CPU:
                    every[_thread(s)] = every.get(_thread(s), 0.0) + 1.0
        whole = sum(every.values())
        return (
            sum(cpu for thread, cpu in every.items() if thread in threads) / whole if whole else 0.0
        )

    def own_waits(self, mine: Mine) -> dict[FunctionKey, Estimated]:
        """What these threads wait for, but not for each other. Others' part of the time in which
        they wait for a core is no queue of this service's own.
        """
        runnable = self.waits(mine, {ThreadState.RUN_QUEUE})
        return _added(self.waits(mine, _OWN_WAITS), runnable, 1.0 - self.knee.own_part)

    def share_where(self, mine: Mine) -> Share:
        """The part of the target's CPU of the functions that were seen there."""
        every = self.shares_within(mine, 1.0)
        owners = {s.owner.key for present in self.knee.snapshots for s in present if mine(s)}
        return min(1.0, sum(share.value for key, share in every.items() if key in owners))

    def shares_within(self, mine: Mine, cpu_share: Share) -> dict[FunctionKey, Estimated]:
        """Each function's part of the CPU that these threads use. A function is on the threads
        where it was seen; one that was not seen at all is as likely on any.
        """
        seen, here = Counter[FunctionKey](), Counter[FunctionKey]()
        every = [s for present in self.knee.snapshots for s in present]
        # A task's CPU is its thread's, unless tasks are all that is read, as in Go.
        for snapshot in [s for s in every if _is_thread(s.sample)] or every:
            for key in snapshot.functions:
                seen[key] += 1
                here[key] += mine(snapshot)
        parts = {}
        for key, share in self.shares.items():
            part = here[key] / seen[key] if seen[key] else cpu_share
            if part > 0 and cpu_share > 0:
                part /= cpu_share
                parts[key] = Estimated(min(1.0, share.value * part), share.error * part)
        return parts

    def station(
        self,
        station: Station,
        mine: Mine,
        waits: Mapping[FunctionKey, Estimated],
        cpu_share: Share,
        slowed: float = 1.0,
    ) -> Station:
        """The station, with what a request occupies it for."""
        now = saturated = None
        if self.cost is not None and cpu_share > 0:
            now, saturated = cpu_parts(self.cost, cpu_share, slowed)
        return replace(
            station,
            cpu=now,
            cpu_saturated=saturated,
            cpu_shares=self.shares_within(mine, cpu_share),
            waits=total(waits.values()),
            wait_uses=waits,
        )


def _told(
    series: Mapping[FunctionKey, ThreadCounts],
) -> tuple[Mapping[FunctionKey, ThreadCounts], float]:
    """The functions that were seen to wait more than now and then, where there are such, and what
    their waits are to be multiplied by to make up for the others: a stack and a state that were
    read a moment apart belong to two functions.
    """
    told = {key: counts for key, counts in series.items() if counts.sum() >= _TORN}
    whole = sum(float(counts.sum()) for counts in series.values())
    kept = sum(float(counts.sum()) for counts in told.values())
    return (told, whole / kept) if kept > whole / 2 else (series, 1.0)


def thread_stations(
    reading: EvidenceReading, cost: CpuCost | None, costs: Mapping[FunctionKey, Cost]
) -> list[Station]:
    """Event loops, pools of threads and tasks, and locks; none without answers in the span."""
    if not reading.knee.span.completed:
        return []
    work = _Work(reading, cost, cpu_shares_of(reading, costs))
    loops = _main_threads(reading) if reading.evidence.runtime == "node" else loop_loads(reading)
    return [
        *_loop_station(work, loops),
        *_pool_stations(work, loops),
        *_crew_stations(work),
        *_lock_stations(work),
    ]


def _main_threads(reading: EvidenceReading) -> dict[Thread, EventLoopLoad]:
    """The thread that runs JavaScript in each process: the main one, which no instants show."""
    states = reading.knee.span.states
    every = states.threads if states is not None else ()
    return {(t.pid, t.tid): load_of(t.states) for t in every if t.tid == t.pid}


def _loop_station(work: _Work, loops: Mapping[Thread, EventLoopLoad]) -> Iterator[Station]:
    """The event loops that serve: taken while they compute, wait for a core, or sleep in a call
    that is not their poll.
    """
    most = max((load.taken for load in loops.values()), default=0.0)
    busy = {thread: load for thread, load in loops.items() if load.taken > _BUSY_LOOP * most > 0}
    if not busy:
        return

    def mine(snapshot: Snapshot) -> bool:
        return _thread(snapshot) in busy

    waits = work.waits(mine, BLOCKING)
    # The states are exact, the instants tell whose they are.
    blocked = sum(load.blocked for load in busy.values()) / work.knee.span.completed
    seen = sum(part.value for part in waits.values())
    exact = {
        key: Estimated(wait.value * blocked / seen, wait.error * blocked / seen)
        for key, wait in waits.items()
    }
    count = len(busy)
    name = "the event loop's thread" if count == 1 else f"the threads of {count} event loops"
    yield work.station(
        Station(name, StationKind.LOOP, float(count)),
        mine,
        exact,
        work.cpu_share(busy),
        1.0 + _waited_for_core(work.knee, busy),
    )


def _waited_for_core(knee: SpanReading, threads: Container[Thread]) -> float:
    """Time in a run queue over time on a CPU: how much longer the CPU work of these threads takes
    than it should.
    """
    states = knee.span.states.threads if knee.span.states is not None else ()
    mine = [t.states for t in states if (t.pid, t.tid) in threads]
    ran = sum(each.get(ThreadState.ON_CPU, 0.0) for each in mine)
    waited = sum(each.get(ThreadState.RUN_QUEUE, 0.0) for each in mine)
    return waited / ran if ran else 0.0


def _pool_stations(work: _Work, loops: Container[Thread]) -> Iterator[Station]:
    """Groups of like threads that work for requests. What they queue for among themselves is left
    out: that is another station's.
    """
    for group, members in _groups(work.knee, loops).items():
        present = _present(work.knee, members)
        if present < _LEAST_POOL or _busy_anyway(work.reading, group):
            continue

        def mine(snapshot: Snapshot, members: Container[Thread] = members) -> bool:
            return _thread(snapshot) in members

        units = max(1, round(present))
        yield work.station(
            Station(_name_of(units, members, group), StationKind.THREADS, float(units)),
            mine,
            work.own_waits(mine),
            work.cpu_share(members),
        )


def _crew_stations(work: _Work) -> Iterator[Station]:
    """Tasks that were there before the requests and take over their work, such as goroutines behind
    a channel: as many as there are, of each kind.
    """
    instants = tuple(work.knee.span.instants or ())
    every = [t for instant in instants for t in instant.threads if t.stack and not _is_thread(t)]
    for kind in _crews(work.knee):
        units = max(1, round(sum(thread_group(t) == kind for t in every) / len(instants)))

        def mine(snapshot: Snapshot, kind: ThreadGroup = kind) -> bool:
            return not _is_thread(snapshot.sample) and thread_group(snapshot.sample) == kind

        yield work.station(
            Station(
                f"the {units} workers of {kind[0][0]}" if units > 1 else f"the one {kind[0][0]}",
                StationKind.THREADS,
                float(units),
            ),
            mine,
            work.own_waits(mine),
            work.share_where(mine),
        )


def _crews(knee: SpanReading) -> set[ThreadGroup]:
    """The kinds of task that work on others' behalf."""
    kinds: dict[FunctionKey, Counter[ThreadGroup]] = {}
    for s in (s for present in knee.snapshots for s in present):
        if s.outlives_requests and not _is_thread(s.sample):
            kinds.setdefault(s.owner.key, Counter())[thread_group(s.sample)] += 1
    handoffs = (c for c in knee.account.graph.contentions if c.handoff and not c.by_tasks)
    holders = {key for contention in handoffs for key in contention.holders}
    return {kinds[key].most_common(1)[0][0] for key in holders if key in kinds}


def _name_of(units: int, members: Collection[Thread], group: ThreadGroup) -> str:
    """What a person would call these threads."""
    if units > 1:
        processes = len({pid for pid, _ in members}) == len(members)
        return f"the {units} worker {'processes' if processes else 'threads'}"
    main = all(pid == tid for pid, tid in members)
    return "the main thread" if main else f"the thread of {group[0][0]}"


def _groups(knee: SpanReading, loops: Container[Thread]) -> dict[ThreadGroup, set[Thread]]:
    """The threads of each kind, of those processes in which one of them was ever busy. A thread is
    of the kind that it mostly begins as: a stack that is read while it changes begins anywhere.
    """
    kinds: dict[Thread, Counter[ThreadGroup]] = {}
    for t in (t for instant in knee.span.instants or () for t in instant.threads):
        if t.stack and _is_thread(t) and (t.pid, t.tid) not in loops:
            kinds.setdefault((t.pid, t.tid), Counter())[thread_group(t)] += 1
    groups: dict[ThreadGroup, set[Thread]] = {}
    for thread, seen in kinds.items():
        groups.setdefault(seen.most_common(1)[0][0], set()).add(thread)
    busy = {_thread(s) for present in knee.snapshots for s in present}
    serving = {
        group: {pid for pid, tid in members if (pid, tid) in busy}
        for group, members in groups.items()
    }
    return {
        group: {(pid, tid) for pid, tid in members if pid in serving[group]}
        for group, members in groups.items()
    }


def _present(knee: SpanReading, members: Container[Thread]) -> float:
    """How many of the threads were there, on average."""
    instants = tuple(knee.span.instants or ())
    seen = sum((t.pid, t.tid) in members for i in instants for t in i.threads)
    return seen / max(1, len(instants))


def _busy_anyway(reading: EvidenceReading, group: ThreadGroup) -> bool:
    """Whether a group was nearly as busy at a far lower rate."""
    base = reading.baseline
    if base is None or not reading.comparable or group not in base.pools:
        return False
    slow = base.span.completed < _ANYWAY * reading.knee.span.completed
    return slow and base.pools[group].busy > _ANYWAY * reading.knee.pools[group].busy


def _lock_stations(work: _Work) -> Iterator[Station]:
    """What is held while others wait for it, and not done for them by other threads, which are a
    pool of their own.
    """
    for contention in kept_from_others(work.knee):
        if is_seldom(contention, work.knee):
            continue

        def mine(snapshot: Snapshot, it: Contention = contention) -> bool:
            # Where the runtime says who has it, others in the same function have not.
            return snapshot.owner.key in it.holders and (bool(snapshot.sample.holds) or not it.told)

        units = max(1, round(contention.concurrent)) if contention.is_pool else 1
        what = f"pool of {units}" if contention.is_pool else "lock"
        held = sum(work.shares[key].value for key in contention.holders if key in work.shares)
        yield work.station(
            Station(
                f"the {what} that {contention.waiter[0]} waits for",
                StationKind.LOCK,
                float(units),
                held_up=total(work.waits(mine, _HELD_UP).values()).value,
            ),
            mine,
            work.waits(mine, _HOLDING),
            min(1.0, held),
        )


def _is_thread(sample: ThreadSample) -> bool:
    """Whether it is a thread of the kernel, and not a task of an event loop."""
    return sample.tid != 0


def _thread(snapshot: Snapshot) -> Thread:
    return snapshot.sample.pid, snapshot.sample.tid


def _added(
    waits: Mapping[FunctionKey, Estimated], more: Mapping[FunctionKey, Estimated], part: Share
) -> dict[FunctionKey, Estimated]:
    """Waits with a part of others, by function."""
    added = {key: Estimated(part * w.value, part * w.error) for key, w in more.items()}
    return {
        key: total(each[key] for each in (waits, added) if key in each) for key in {**waits, **more}
    }
