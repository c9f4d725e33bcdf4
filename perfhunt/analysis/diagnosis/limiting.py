"""The resource that requests queue for before a thread has them, and who uses it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from perfhunt.analysis.blame.charge import NOBODY, Blame, Cause
from perfhunt.analysis.blame.reading import EvidenceReading, SpanReading, on_cpu
from perfhunt.analysis.blame.snapshots import ThreadGroup
from perfhunt.analysis.diagnosis.known.runtimes import traits_of
from perfhunt.model.states import ThreadState, ThreadTime
from perfhunt.model.units import Cores, Share

# Of what a CPU can do: from here its queue, not the work, decides latency. In an M/M/1 queue a
# request then waits nearly six times as long as it is served.
SATURATED: Share = 0.85
# Of the quota periods, in a trial: requests wait up to a tenth of a second for the next one, and
# these are more than a p99 leaves out.
STOPPED: Share = 0.05
# Of a pool's threads: from here a request often finds none free. Chosen on real services.
EXHAUSTED: Share = 0.7
# Mean threads from which a group of them is a pool: less are stacks read while they changed.
_LEAST_POOL = 0.5
_ON_CPU = str(ThreadState.ON_CPU)


class LimitingResource(StrEnum):
    """What requests queue for before a thread has them."""

    CPU = "cpu"
    THREADS = "threads"
    AWAIT = "await"  # nothing inside: they wait where only coroutines do


@dataclass(frozen=True, slots=True)
class Limiting:
    """The resource that requests queue for, and what its users do with it, as weights."""

    resource: LimitingResource
    users: Blame


def limiting_of(reading: EvidenceReading) -> Limiting:
    """The resource that requests queue for before a thread has them, and who uses it.

    A saturated CPU (or a process that uses one core, the most that one GIL allows) comes before
    threads that are all taken: threads are all taken because they wait for it.
    """
    knee = reading.knee
    if cpu_saturation(reading) >= SATURATED:
        shares = knee.use.shares()
        users: Blame = {(key, Cause.OWN, _ON_CPU): share for key, share in shares.items()}
        return Limiting(LimitingResource.CPU, users)
    taken = {
        group: pool.busy
        for group, pool in knee.pools.items()
        if pool.threads >= _LEAST_POOL
        and knee.account.by_group.get(group)
        and pool.busy / pool.threads >= EXHAUSTED
    }
    if taken:
        group = max(taken, key=lambda g: taken[g])
        return Limiting(LimitingResource.THREADS, users_of_threads(knee, group))
    # Who awaits is known; for how long is not.
    awaiting = knee.use.awaits.items()
    users = {(key, Cause.AWAIT, Cause.AWAIT): weight for key, weight in awaiting}
    return Limiting(LimitingResource.AWAIT, users)


def users_of_threads(knee: SpanReading, group: ThreadGroup) -> Blame:
    """What keeps the threads of a pool, with its time on a CPU and its waits for one divided as the
    profile says.
    """
    account = knee.account
    here = {key for key, _, _ in account.by_group[group]}
    shares = {
        key: share
        for key, share in knee.use.shares().items()
        if key in here or not account.profiled
    }
    whole = sum(shares.values())
    # A profile may hold none of what these threads do, or only code that never had the CPU.
    shares = {key: share / whole for key, share in shares.items()} if whole else knee.use.shares()
    users: Blame = {}
    for (key, cause, doing), threads in account.by_group[group].items():
        weight = threads * (knee.own_part if cause == ThreadState.RUN_QUEUE else 1.0)
        divided = key == NOBODY or (account.profiled and cause == Cause.OWN and doing == _ON_CPU)
        parts = (
            {(k, cause, _ON_CPU): s for k, s in shares.items()}
            if divided
            else {(key, cause, doing): 1.0}
        )
        for user, share in parts.items():
            users[user] = users.get(user, 0.0) + weight * share
    return users


def cpu_saturation(reading: EvidenceReading) -> Share:
    """How much of its CPU the target uses: of its cores, or of the one core that its runtime leaves
    its busiest process.
    """
    used, cores = on_cpu(reading.knee.span), reading.evidence.cores
    of_cores = used / cores if used is not None and cores else 0.0
    return max(of_cores, one_core_use(reading))


def one_core_use(reading: EvidenceReading) -> Cores:
    """What the busiest process uses of the one core that its runtime leaves it; 0 where its threads
    may run code on several.
    """
    traits = traits_of(reading.evidence.runtime, reading.evidence.version)
    if traits.main_loop:
        return max((t.states.get(_ON_CPU, 0.0) for t in main_threads(reading.knee)), default=0.0)
    return max(per_process(reading, ThreadState.ON_CPU).values()) if traits.one_core else 0.0


def main_threads(span: SpanReading) -> tuple[ThreadTime, ...]:
    """The first thread of each process, by the exact thread states; empty without those."""
    states = span.span.states
    return tuple(t for t in states.threads if t.tid == t.pid) if states is not None else ()


def per_process(reading: EvidenceReading, state: ThreadState) -> dict[int, float]:
    """Mean threads in a state per process, from the exact thread states where there are any, else
    from the instants. Process 0 stands for none, so that there is always an entry.
    """
    knee = reading.knee
    means: dict[int, float] = {0: 0.0}
    if knee.span.states is not None:
        for thread in knee.span.states.threads:
            means[thread.pid] = means.get(thread.pid, 0.0) + thread.states.get(state, 0.0)
        return means
    for snapshot in (s for present in knee.snapshots for s in present if s.state == state):
        pid = snapshot.sample.pid
        means[pid] = means.get(pid, 0.0) + 1 / knee.account.instants
    exact = on_cpu(knee.span) if state == ThreadState.ON_CPU else None
    whole = sum(means.values())
    # An instant finds running what had been about to wait.
    if exact is not None and whole > exact:
        return {pid: mean * exact / whole for pid, mean in means.items()}
    return means
