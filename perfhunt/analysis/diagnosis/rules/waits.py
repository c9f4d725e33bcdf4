"""Whether threads wait for each other, for another service, or by their own wish."""

from __future__ import annotations

from dataclasses import dataclass

from perfhunt.analysis.blame.charge import Cause
from perfhunt.analysis.blame.wait_for import Contention
from perfhunt.analysis.diagnosis.costs import is_unseen, unseen
from perfhunt.analysis.diagnosis.features import CLIENT_SOCKET, Features
from perfhunt.analysis.diagnosis.limiting import LimitingResource
from perfhunt.analysis.diagnosis.rules.score import (
    ClassScore,
    RampBounds,
    nothing,
    outside_cpu,
    part,
    ramp,
)
from perfhunt.model.finding import BottleneckClass
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Share, format_share

_NAMED = 2  # contentions or endpoints named in the evidence
# Requests that wait while no thread works on them, from which they are a queue and not the error of
# their number.
_LEAST_AWAITING = 1.0


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


LOCK = LockThresholds()


def lock(features: Features) -> ClassScore:
    """Threads wait for a lock, in memory or in a file, that one of them holds."""
    share = features.share_anywhere(ThreadState.LOCK)
    value, by_polling = outside_cpu(features, ramp(share, LOCK.added)), polled(features)
    if by_polling > value:
        return ClassScore(BottleneckClass.LOCK, by_polling, (_polled_sentence(features),))
    locks = [c for c in features.contentions if not c.is_pool and not c.handoff]
    evidence = [
        f"{c.waiting:.2f} threads waited in {c.waiter[0]} on average,"
        f" held up by {_holders(c) or 'a holder that was not seen'}."
        for c in locks[:_NAMED]
    ]
    evidence.append(f"Waiting for locks is {format_share(share)} of the latency that load added.")
    return ClassScore(BottleneckClass.LOCK, value, tuple(evidence))


def _polled_sentence(features: Features) -> str:
    growth = features.grew_waits.get(ThreadState.SLEEP, 0.0)
    times = (
        "was not there at baseline"
        if growth == float("inf")
        else f"is {growth:.1f} times that of baseline"
    )
    return f"Time asleep per request {times}: threads sleep until something is free."


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
    awaited = features.share(unseen(Cause.AWAIT)) if _is_awaited(features) else 0.0
    share = features.share_anywhere(Cause.POOL) + awaited
    pools = [c for c in features.contentions if c.is_pool]
    evidence = [
        f"{c.waiting:.2f} threads waited in {c.waiter[0]} on average while {c.concurrent:.1f} held"
        f" what they wait for ({_holders(c) or 'not seen'})."
        for c in pools[:_NAMED]
    ]
    value = ramp(share, POOL.added)
    if awaited:
        connections = sum(n for _, n in _awaited_endpoints(features))
        evidence.append(
            f"{features.unseen:.1f} requests waited while the event loop idled,"
            f" with {connections} connections open elsewhere."
        )
        value *= ramp(features.unseen / max(connections, 1), POOL.per_connection)
    evidence.append(f"Waiting for a pool is {format_share(share)} of the latency that load added.")
    value = outside_cpu(features, value) if pools or awaited else 0.0
    return ClassScore(BottleneckClass.POOL, value, tuple(evidence))


@dataclass(frozen=True, slots=True)
class DownstreamThresholds:
    """When another service is the reason."""

    added: RampBounds = (0.2, 0.6)  # share of added latency
    # Share of its time that an event loop's thread is blocked, beyond which its waits may be a
    # blocking call to that service, and what of the score is left then.
    loop_blocked: Share = 0.2
    beside_blocked_loop: float = 0.6
    # Connections to the endpoint per request that waits: with fewer something rations them, and
    # this is left of the score.
    rationed: float = 0.5
    beside_rationing: float = 0.85


DOWNSTREAM = DownstreamThresholds()


def downstream(features: Features) -> ClassScore:
    """Threads wait for another service, longer under load, or so many at once that none is left for
    new requests.
    """
    awaited = _awaited_endpoints(features)
    share = features.share_anywhere(ThreadState.SOCKET)
    share += features.share(unseen(Cause.AWAIT)) if awaited else 0.0
    # What a driver awaits is not named; with connections open it is what is at their other end.
    share += features.share(ThreadState.AWAIT) if features.connections else 0.0
    value = outside_cpu(features, ramp(share, DOWNSTREAM.added))
    if features.loop is not None and features.loop.blocked > DOWNSTREAM.loop_blocked:
        value *= DOWNSTREAM.beside_blocked_loop
    if awaited and awaited[0][1] < DOWNSTREAM.rationed * features.unseen:
        value *= DOWNSTREAM.beside_rationing
    endpoints = [name for name in features.endpoints if not name.startswith(CLIENT_SOCKET)]
    evidence = [
        f"{features.endpoints[name]:.2f} threads waited on {name or 'a socket'} on average."
        for name in endpoints[:_NAMED]
    ]
    evidence += [
        f"{n} connections to {name} were open while the event loop idled."
        for name, n in awaited[:_NAMED]
    ]
    evidence.append(f"Waiting on sockets is {format_share(share)} of the latency that load added.")
    value = value if endpoints or awaited else 0.0
    return ClassScore(BottleneckClass.DOWNSTREAM, value, tuple(evidence))


def _is_awaited(features: Features) -> bool:
    """Whether requests wait that no thread works on, while nothing inside is full."""
    return features.limiting is LimitingResource.AWAIT and features.unseen >= _LEAST_AWAITING


def _awaited_endpoints(features: Features) -> list[tuple[str, int]]:
    """Endpoints that an event loop had connections to while requests waited that no thread was
    working on, the most connections first.
    """
    if not _is_awaited(features):
        return []
    return sorted(features.connections.items(), key=lambda connection: -connection[1])


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


WORKERS = WorkersThresholds()
# What a worker does of its own accord while requests queue for it.
_IDLING = (ThreadState.SLEEP, ThreadState.OTHER, ThreadState.POLL)


def workers(features: Features) -> ClassScore:
    """Every worker thread is taken by waiting; requests queue for one while the CPU has room."""
    handed_over = [c for c in features.contentions if c.handoff and not c.by_tasks]
    if handed_over:
        return _handed_over(features, handed_over[0])
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
    sentence = (
        f"{contention.waiting:.1f} threads waited in {contention.waiter[0]}"
        f" for {contention.concurrent:.1f} that worked for them ({_holders(contention)})."
    )
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
    sentence = f"Sleeping is {format_share(share)} of the latency that load added."
    return ClassScore(BottleneckClass.SLEEP, value, (sentence,))
