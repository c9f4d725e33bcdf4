"""Whether threads wait for each other, or by their own wish."""

from __future__ import annotations

from dataclasses import dataclass

from perfhunt.analysis.blame.charge import Cause
from perfhunt.analysis.blame.reading import PoolUse
from perfhunt.analysis.blame.wait_for import THRESHOLDS as HOLDING
from perfhunt.analysis.blame.wait_for import Contention
from perfhunt.analysis.diagnosis.costs import is_unseen, unseen
from perfhunt.analysis.diagnosis.features import Features
from perfhunt.analysis.diagnosis.known.states_alone import HIDDEN
from perfhunt.analysis.diagnosis.limiting import LimitingResource
from perfhunt.analysis.diagnosis.rules.peers import connections, is_awaited
from perfhunt.analysis.diagnosis.rules.score import (
    ClassScore,
    RampBounds,
    nothing,
    of_added,
    outside_cpu,
    part,
    ramp,
)
from perfhunt.model.finding import BottleneckClass
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Share

_LEAST_HELPERS = 2  # threads: a single one is no pool
_SEVERAL = HOLDING.several
_NAMED = 2  # contentions or endpoints named in the evidence


@dataclass(frozen=True, slots=True)
class PolledThresholds:
    """When sleep is a wait for others, asked for again and again."""

    growth: RampBounds = (1.4, 2.5)  # sleep per request, knee over baseline
    added: RampBounds = (0.15, 0.5)  # share of added latency
    certain: float = 0.9  # the most it may score: nobody was seen to hold anything


POLLED = PolledThresholds()


def polled(features: Features) -> float:
    """Sleep that grows with load is a wait for others, asked for again and again (a database file,
    a spin with back-off).
    """
    if not features.compared or features.pool_is_loop:
        return 0.0
    growing = ramp(features.grew_waits.get(ThreadState.SLEEP, 0.0), POLLED.growth)
    share = features.share_anywhere(ThreadState.SLEEP)
    return outside_cpu(features, POLLED.certain * growing * ramp(share, POLLED.added))


@dataclass(frozen=True, slots=True)
class LockThresholds:
    """When a lock is the reason."""

    added: RampBounds = (0.15, 0.5)  # share of added latency
    # Where no stack of a waiting thread is to be had: the share of added latency in which no thread
    # did anything, and the most it may score, for what they waited for was not seen.
    hidden: RampBounds = (0.3, 0.7)
    by_elimination: float = 0.7
    beside_peers: float = 0.5  # of the score, where the target has connections to others as well


LOCK = LockThresholds()


def lock(features: Features) -> ClassScore:
    """Threads or tasks wait for a lock, in memory or in a file, that one of them holds."""
    share = features.share_anywhere(ThreadState.LOCK)
    value, by_polling = outside_cpu(features, ramp(share, LOCK.added)), polled(features)
    if by_polling > value:
        return ClassScore(BottleneckClass.LOCK, by_polling, (_polled_sentence(features),))
    if (by_elimination := _lock_by_elimination(features)) > value:
        sentence = (
            f"In {of_added(features, features.share(HIDDEN))} no thread ran, or waited for a CPU, a"
            " disk or another service: requests wait for each other inside the process, for what"
            " its stacks would tell."
        )
        return ClassScore(BottleneckClass.LOCK, by_elimination, (sentence,))
    locks = [c for c in features.contentions if not (c.is_pool or c.handoff or c.paced)]
    evidence = [
        f"{c.waiting:.2f} {c.kind} waited in {c.waiter[0]} on average, {_held_up(c)}."
        for c in locks[:_NAMED]
    ]
    evidence += [_one_of_many(c) for c in locks[:1] if not c.told and c.concurrent >= _SEVERAL]
    evidence += _told_by_runtime(features, ThreadState.LOCK)
    evidence.append(f"Waiting for locks is {of_added(features, share)}.")
    return ClassScore(BottleneckClass.LOCK, value, tuple(evidence))


def _told_by_runtime(features: Features, cause: str) -> list[str]:
    """What a runtime that tells of its locks says of those who waited for one."""
    waits = [(n, key[0]) for (key, of), (n, _) in features.contended.items() if of == cause]
    return [
        f"{waiting:.2f} waited in {function} on average, by the runtime's own record."
        for waiting, function in sorted(waits, reverse=True)[:_NAMED]
    ]


def _lock_by_elimination(features: Features) -> float:
    """What is left when nothing else explains the latency of a runtime whose waits are not seen. An
    event loop's requests wait for its one thread.
    """
    if features.pool_is_loop or not features.compared:
        return 0.0
    value = LOCK.by_elimination * ramp(features.share(HIDDEN), LOCK.hidden)
    return outside_cpu(features, value) * (LOCK.beside_peers if features.connections else 1.0)


def _polled_sentence(features: Features) -> str:
    growth = features.grew_waits.get(ThreadState.SLEEP, 0.0)
    times = (
        "was not there at baseline"
        if growth == float("inf")
        else f"is {growth:.1f} times that of baseline"
    )
    return (
        f"Time asleep per request {times}: requests sleep until something is free that they ask for"
        " again and again, or until a rate limiter lets them go."
    )


def _one_of_many(contention: Contention) -> str:
    """What it means that several are past a lock for which others wait."""
    return (
        f"{contention.concurrent:.1f} were in {_holders(contention)} by the same way at once, and"
        f" those who wait all wait for one lock: if {contention.waiter[0]} has one for each key, a"
        " single key is in demand."
    )


def _held_up(contention: Contention) -> str:
    """By whom; where others run below the function that takes the lock, that it is taken there."""
    holders = _holders(contention)
    if not contention.near or contention.waiter in contention.holders:
        return f"held up by {holders or 'a holder that was not seen'}"
    return f"for what {contention.waiter[0]} holds while it is in {holders}"


def _holders(contention: Contention) -> str:
    return ", ".join(sorted(name for name, _ in contention.holders))


@dataclass(frozen=True, slots=True)
class PoolThresholds:
    """When a pool of connections or permits is the reason."""

    added: RampBounds = (0.15, 0.5)  # share of added latency
    # Requests that wait per connection that is open: about one each is no queue for them.
    per_connection: RampBounds = (1.0, 3.0)


POOL = PoolThresholds()


def pool(features: Features) -> ClassScore:
    """Threads wait for one of a few things (connections, permits) that others have checked out; or
    coroutines do.
    """
    awaited = features.share(unseen(Cause.AWAIT)) if is_awaited(features) else 0.0
    share = features.share_anywhere(Cause.POOL) + awaited
    pools = [c for c in features.contentions if c.is_pool]
    evidence = [
        f"{c.waiting:.2f} {c.kind} waited in {c.waiter[0]} on average while"
        f" {c.concurrent:.1f} held what they wait for ({_holders(c) or 'not seen'})."
        for c in pools[:_NAMED]
    ]
    evidence += _told_by_runtime(features, Cause.POOL)
    value = ramp(share, POOL.added)
    if awaited:
        open_to = sum(connections(features, load) for load in features.peers)
        evidence.append(
            f"{features.unseen:.1f} requests waited while the event loop idled,"
            f" with {open_to} connections open elsewhere."
        )
        value *= ramp(features.unseen / max(open_to, 1), POOL.per_connection)
    evidence.append(f"Waiting for a pool is {of_added(features, share)}.")
    value = outside_cpu(features, value)
    return ClassScore(BottleneckClass.POOL, value, tuple(evidence))


@dataclass(frozen=True, slots=True)
class WorkersThresholds:
    """When there are too few worker threads."""

    handed_over: RampBounds = (0.15, 0.5)  # share of added latency that waits for a helper thread
    taken: RampBounds = (0.6, 0.9)  # share of the pool's threads that are busy
    queue: RampBounds = (0.1, 0.4)  # share of added latency that is requests no thread had
    # What a full pool is worth whose threads do not idle meanwhile: they may just be slow.
    not_idling: float = 0.3
    # How sure it is that sleep is polling, which has a reason of its own.
    polled: RampBounds = (0.3, 0.8)
    # Share of its time that an event loop's thread is on a CPU: then requests wait for that.
    loop_on_cpu: RampBounds = (0.5, 0.9)


WORKERS = WorkersThresholds()
# What a worker does of its own accord while requests queue for it.
_IDLING = (ThreadState.SLEEP, ThreadState.OTHER, ThreadState.POLL)


def workers(features: Features) -> ClassScore:
    """Every worker thread is taken by waiting; requests queue for one while the CPU has room."""
    handed_over = [c for c in features.contentions if c.handoff and not c.by_tasks]
    scored = [_handed_over(features, handed_over[0])] if handed_over else []
    # A pool that stacks name may have one thread; one that is told by states alone may not.
    least = _LEAST_HELPERS if features.traits.main_loop else 0
    if features.helpers is not None and features.helpers.threads >= least:
        scored.append(_helpers_taken(features, features.helpers))
    if scored:
        return max(scored, key=lambda score: score.value)
    taken = features.limiting is LimitingResource.THREADS
    if not taken or features.pool_use is None or features.pool_is_loop:
        return nothing(BottleneckClass.WORKERS)
    threads, busy = features.pool_use
    queue = sum(features.share(kind) for kind in features.added if is_unseen(kind))
    idling = part(features.share(*(unseen(state) for state in _IDLING)), queue)
    value = ramp(part(busy, threads), WORKERS.taken) * ramp(queue, WORKERS.queue)
    value *= WORKERS.not_idling + (1.0 - WORKERS.not_idling) * idling
    value *= 1.0 - _share_of_inner_queues(features)
    value *= 1.0 - ramp(polled(features), WORKERS.polled)
    evidence = (
        f"{busy:.1f} of {threads:.1f} worker threads were taken, and {features.unseen:.1f} requests"
        " waited for one.",
        f"The target used {features.cpu or 0:.2f} cores.",
    )
    return ClassScore(BottleneckClass.WORKERS, outside_cpu(features, value), evidence)


def _helpers_taken(features: Features, helpers: PoolUse) -> ClassScore:
    """The threads that an event loop hands blocking work to are all at work; the loop is not."""
    value = ramp(part(helpers.busy, helpers.threads), WORKERS.taken)
    if features.loop is not None:
        value *= 1.0 - ramp(features.loop.on_cpu, WORKERS.loop_on_cpu)
    sentence = (
        f"{helpers.busy:.1f} of {helpers.threads:.0f} busy threads of {features.helpers_name}"
        " were at work or waited for a core all the time."
    )
    if not features.traits.main_loop:  # Such a pool grows up to its limit: is something left over?
        value *= ramp(part(features.unseen, features.unseen + helpers.busy), WORKERS.queue)
        sentence = (
            f"{helpers.busy:.1f} of {helpers.threads:.1f} threads of {features.helpers_name} had"
            f" work, and {features.unseen:.1f} requests waited that no thread was at."
        )
    return ClassScore(BottleneckClass.WORKERS, outside_cpu(features, value), (sentence,))


def _share_of_inner_queues(features: Features) -> Share:
    """The share of added latency that waits for something inside: then more threads would only
    wait there too.
    """
    inner = (ThreadState.LOCK, Cause.POOL, ThreadState.RUN_QUEUE, ThreadState.GIL)
    behind = (ThreadState.LOCK, Cause.POOL, Cause.HANDOFF, ThreadState.RUN_QUEUE, ThreadState.GIL)
    return features.share(*inner, *(unseen(kind) for kind in behind))


def _handed_over(features: Features, contention: Contention) -> ClassScore:
    """Requests are handed to other threads, which are too few for them."""
    share = features.share_anywhere(Cause.HANDOFF)
    waiting, helpers = f"{contention.waiting:.1f}", features.helpers
    if contention.holders:
        sentence = (
            f"{waiting} {contention.kind} waited in {contention.waiter[0]}"
            f" for {contention.concurrent:.1f} that worked for them ({_holders(contention)})."
        )
    else:
        sentence = f"{waiting} requests waited in {contention.waiter[0]} for a helper thread."
        if helpers is not None and helpers.threads:
            sentence += f" {helpers.busy:.1f} of {features.helpers_name} were at work."
    value = outside_cpu(features, ramp(share, WORKERS.handed_over))
    return ClassScore(BottleneckClass.WORKERS, value, (sentence,))


@dataclass(frozen=True, slots=True)
class SleepThresholds:
    """When sleep by the code's own wish is the reason."""

    added: RampBounds = (0.3, 0.7)  # share of added latency
    certain: float = 0.8  # the most it may score: what it sleeps for is not known
    polled: RampBounds = (0.2, 0.6)  # how sure it is that sleep is polling, which is a lock's class


SLEEP = SleepThresholds()


def sleep(features: Features) -> ClassScore:
    """Requests spend their time asleep by the code's own wish."""
    # Where threads are what requests queue for, sleep that keeps them is the workers' class.
    within_only = features.limiting is LimitingResource.THREADS
    share_of = features.share if within_only else features.share_anywhere
    share = share_of(ThreadState.SLEEP)
    value = SLEEP.certain * outside_cpu(features, ramp(share, SLEEP.added))
    value *= 1.0 - ramp(polled(features), SLEEP.polled)
    sentence = f"Sleeping is {of_added(features, share)}."
    return ClassScore(BottleneckClass.SLEEP, value, (sentence,))
