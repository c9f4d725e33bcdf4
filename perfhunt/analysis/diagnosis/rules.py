"""The rules: one per class of bottleneck, each with a score between 0 and 1 and sentences that
carry its numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from perfhunt.analysis.blame.holders import Holding
from perfhunt.analysis.diagnosis.features import Features
from perfhunt.analysis.diagnosis.ranking_costs import AWAIT, UNSEEN
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Share, format_share


@dataclass(frozen=True, slots=True)
class Score:
    """How well a class explains what was seen, 0..1, and why."""

    cls: str
    value: float
    evidence: tuple[str, ...] = ()


def rules() -> tuple[Callable[[Features], Score], ...]:
    """Every rule; order does not matter."""
    return (
        generator,
        limiter,
        quota,
        cpu,
        gil,
        event_loop,
        event_loop_blocked,
        lock,
        pool,
        downstream,
        workers,
        sleep,
        disk,
        memory,
        network,
    )


def ramp(value: float, low: float, high: float) -> float:
    """0 at `low` and below, 1 at `high` and above, straight in between."""
    return min(1.0, max(0.0, (value - low) / (high - low)))


def generator(s: Features) -> Score:
    """The generator ran out before the target did."""
    if s.trial is None or s.trial.generator.cpu is None:
        return Score("generator", 0.0)
    used = s.trial.generator.cpu
    room = 1.0 - max(ramp(s.process_cpu, 0.5, 0.85), ramp(_of_cores(s), 0.5, 0.85))
    value = ramp(used, 0.85, 0.97) * room
    return Score(
        "generator",
        value,
        (f"The generator used {format_share(used)} of its core while the target had room.",),
    )


def limiter(s: Features) -> Score:
    """The target, or something before it, turns requests away on purpose: refusals, with latency as
    at baseline.
    """
    if s.shed < 0.02 or s.trial is None:
        return Score("limiter", 0.0)
    flat = 1.0
    if s.base_trial is not None and s.base_trial.service.p50 and s.trial.service.p50:
        flat = 1.0 - ramp(s.trial.service.p50 / s.base_trial.service.p50, 1.5, 4.0)
    value = ramp(s.shed, 0.01, 0.1) * (0.4 + 0.6 * flat)
    return Score(
        "limiter",
        value,
        (f"{format_share(s.shed)} of answers were 429 or 503 while the others stayed quick.",),
    )


def quota(s: Features) -> Score:
    """The cgroup's CPU quota, by the kernel's own count of throttled periods."""
    value = ramp(s.throttled, 0.02, 0.2) * ramp(_of_cores(s), 0.5, 0.85)
    return Score(
        "cpu-quota",
        value,
        (f"The CPU quota stopped the target in {format_share(s.throttled)} of its periods.",),
    )


def cpu(s: Features) -> Score:
    """All the CPU the target may use, or all there is on the host."""
    used = _of_cores(s)
    waiting = s.threads.get(ThreadState.RUN_QUEUE, 0.0)
    # Threads that wait for a CPU are starved by each other, or by something else on the host.
    behind = (
        s.share("unseen:run_queue", "unseen:on_cpu")
        if waiting > 0.5 * s.threads.get(ThreadState.ON_CPU, 0.0) and not s.pool_is_loop
        else 0.0
    )
    starved = ramp(s.share("run_queue") + behind, 0.3, 0.7)
    full = max(ramp(used, 0.6, 0.9), starved)
    # One process at one core with others waiting for its GIL is the GIL's doing, unless the cores
    # are gone as well.
    single = (
        ramp(s.process_cpu, 0.6, 0.9) * (0.75 if s.loop is None else 0.4)
        if s.limiting == "cpu"
        else 0.0
    )
    blocked = ramp(s.loop.blocked, 0.1, 0.4) if s.loop else 0.0
    value = max(full * (1.0 - 0.6 * _gil_weight(s)), single * (1.0 - _gil_weight(s))) * (
        1.0 - 0.8 * blocked
    )
    value *= 1.0 - 0.5 * quota(s).value
    evidence = [
        f"The target used {s.cpu or 0:.2f} of {s.cores or 0:g} cores ({format_share(used)})."
    ]
    if waiting > 0.05:
        evidence.append(f"{waiting:.2f} of its threads waited for a CPU on average.")
    if full < 0.5 < single:
        evidence.append(
            f"A process used {s.process_cpu:.2f} cores, and Python code of one process cannot use"
            " more than one."
        )
    if s.host is not None:
        evidence.append(f"The host was {format_share(s.host)} busy.")
    return Score("cpu", value, tuple(evidence))


def _gil_weight(s: Features) -> float:
    """How much of the wish to run went to the GIL and not to the cores: 0..1."""
    gil_waits, queue = (
        s.threads.get(ThreadState.GIL, 0.0),
        s.threads.get(ThreadState.RUN_QUEUE, 0.0),
    )
    return ramp(gil_waits, 0.1, 0.6) * gil_waits / (gil_waits + queue) if gil_waits else 0.0


def gil(s: Features) -> Score:
    """Threads of a process that uses about one core wait for its GIL."""
    waiting = s.threads.get(ThreadState.GIL, 0.0)
    per_process = waiting / max(s.processes, 1)
    queue = s.threads.get(ThreadState.RUN_QUEUE, 0.0)
    value = ramp(s.process_cpu, 0.55, 0.85) * ramp(per_process, 0.1, 0.5)
    value *= ramp(
        waiting / (waiting + queue) if waiting else 0.0, 0.2, 0.5
    )  # threads that may run but find no core want cores
    if s.compared:  # waiting for the GIL that load did not add to is not what breaks the service
        value *= ramp(
            s.share("gil", "cpu", "run_queue", "unseen:on_cpu", "unseen:gil", "unseen:run_queue"),
            0.15,
            0.4,
        )
    if s.processes > 1:  # with several processes the cores run out first
        value *= 1.0 - 0.5 * ramp(_of_cores(s), 0.7, 0.9)
    return Score(
        "gil",
        value,
        (
            f"The busiest process used {s.process_cpu:.2f} cores, and one GIL allows about one.",
            f"{waiting:.2f} of the target's threads waited for the GIL on average.",
        ),
    )


def event_loop(s: Features) -> Score:
    """The event loop's thread computes all the time."""
    if s.loop is None:
        return Score("event-loop", 0.0)
    value = ramp(s.loop.on_cpu + s.loop.queued, 0.45, 0.85) * (
        1.0 - ramp(s.loop.blocked, 0.1, 0.35)
    )
    said = f"The event loop's thread was on a CPU {format_share(s.loop.on_cpu)} of the time"
    return Score(
        "event-loop", value, (f"{said}, and {format_share(s.loop.queued)} waiting to be.",)
    )


def event_loop_blocked(s: Features) -> Score:
    """The event loop's thread sleeps in something that is not its poll, and every connection waits
    meanwhile.
    """
    if s.loop is None:
        return Score("event-loop-blocked", 0.0)
    said = (
        f"The event loop's thread slept outside its poll {format_share(s.loop.blocked)} of the time"
        f" ({s.loop.state})."
    )
    kinds = (
        ThreadState.SLEEP,
        ThreadState.SOCKET,
        ThreadState.DISK,
        ThreadState.LOCK,
        ThreadState.OTHER,
    )
    share = s.share(*kinds, *(UNSEEN + kind for kind in kinds)) if s.pool_is_loop else 0.0
    value = max(
        ramp(s.loop.blocked, 0.08, 0.35), ramp(s.loop.blocked, 0.05, 0.15) * ramp(share, 0.3, 0.6)
    )
    return Score(
        "event-loop-blocked",
        value,
        (said, f"That is {format_share(share)} of the latency that load added."),
    )


def lock(s: Features) -> Score:
    """Threads wait for a lock, in memory or in a file, that one of them holds."""
    share = s.share("lock", "unseen:lock")
    value = _outside_cpu(s, ramp(share, 0.15, 0.5))
    evidence = []
    for holding in [h for h in s.holdings if not h.is_pool and not h.handoff][:2]:
        who = ", ".join(sorted(name for name, _ in holding.holders)) or "a holder that was not seen"
        evidence.append(
            f"{holding.waiting:.2f} threads waited in {holding.waiter[0]} on average, held up by"
            f" {who}."
        )
    evidence.append(f"Waiting for locks is {format_share(share)} of the latency that load added.")
    polled = _polled(s)
    if polled > value:
        grown = s.grew_waits.get(ThreadState.SLEEP, 0.0)
        times = (
            "was not there at baseline"
            if grown == float("inf")
            else f"is {grown:.1f} times that of baseline"
        )
        return Score(
            "lock",
            polled,
            (f"Time asleep per request {times}: threads sleep until something is free.",),
        )
    return Score("lock", value, tuple(evidence))


def _polled(s: Features) -> float:
    """Sleep that grows with load is a wait for others, asked for again and again (a database file,
    a spin with back-off).
    """
    if not s.compared or s.pool_is_loop:
        return 0.0
    growing = ramp(s.grew_waits.get(ThreadState.SLEEP, 0.0), 1.4, 2.5)
    return _outside_cpu(s, 0.9 * growing * ramp(s.share("sleep", "unseen:sleep"), 0.15, 0.5))


def pool(s: Features) -> Score:
    """Threads wait for one of a few things (connections, permits) that others have checked out; or
    coroutines do.
    """
    awaited = s.share("unseen:await") if s.limiting == AWAIT and s.unseen >= 1.0 else 0.0
    share = s.share("pool", "unseen:pool") + awaited
    pools = [h for h in s.holdings if h.is_pool]
    evidence = [
        f"{h.waiting:.2f} threads waited in {h.waiter[0]} on average while {h.concurrent:.1f} held"
        f" what they wait for ({', '.join(sorted(name for name, _ in h.holders)) or 'not seen'})."
        for h in pools[:2]
    ]
    value = ramp(share, 0.15, 0.5)
    if awaited:
        open_now = sum(n for _, n in _awaited(s))
        evidence.append(
            f"{s.unseen:.1f} requests waited while the event loop idled, with {open_now}"
            " connections open elsewhere."
        )
        value *= ramp(s.unseen / max(open_now, 1), 1.0, 3.0)
    evidence.append(f"Waiting for a pool is {format_share(share)} of the latency that load added.")
    return Score("pool", _outside_cpu(s, value) if pools or awaited else 0.0, tuple(evidence))


def downstream(s: Features) -> Score:
    """Threads wait for another service, longer under load, or so many at once that none is left for
    new requests.
    """
    awaited = _awaited(s)
    share = s.share("socket", "unseen:socket") + (s.share("unseen:await") if awaited else 0.0)
    value = _outside_cpu(s, ramp(share, 0.2, 0.6)) * (
        0.6 if s.loop is not None and s.loop.blocked > 0.2 else 1.0
    )
    where = [name for name in s.endpoints if not name.startswith("client:")][:2]
    evidence = [
        f"{s.endpoints[name]:.2f} threads waited on {name or 'a socket'} on average."
        for name in where
    ]
    evidence += [
        f"{n} connections to {name} were open while the event loop idled."
        for name, n in awaited[:2]
    ]
    evidence.append(f"Waiting on sockets is {format_share(share)} of the latency that load added.")
    if (
        awaited and awaited[0][1] < 0.5 * s.unseen
    ):  # fewer connections than requests that wait: something rations them
        value *= 0.85
    return Score("downstream", value if where or awaited else 0.0, tuple(evidence))


def _awaited(s: Features) -> list[tuple[str, int]]:
    """Endpoints that an event loop had connections to while requests waited that no thread was
    working on.
    """
    if s.limiting != AWAIT or s.unseen < 1.0:
        return []
    return sorted(s.connections.items(), key=lambda c: -c[1])


def workers(s: Features) -> Score:
    """Every worker thread is taken by waiting, and requests queue for one while the CPU has
    room.
    """
    handed = [h for h in s.holdings if h.handoff]
    if handed:
        return _handed_over(s, handed[0])
    if s.limiting != "threads" or s.pool_use is None or s.pool_is_loop:
        return Score("workers", 0.0)
    threads, busy = s.pool_use
    queue = sum(s.share(kind) for kind in s.added if kind.startswith("unseen:"))
    idling = s.share("unseen:sleep", "unseen:other", "unseen:poll") / queue if queue else 0.0
    inner = s.share(
        "lock",
        "pool",
        "run_queue",
        "gil",
        *(UNSEEN + k for k in ("lock", "pool", "handoff", "run_queue", "gil")),
    )
    value = (
        ramp(busy / threads if threads else 0.0, 0.6, 0.9)
        * ramp(queue, 0.1, 0.4)
        * (0.3 + 0.7 * idling)
        * (1.0 - inner)
    )
    value *= 1.0 - ramp(_polled(s), 0.3, 0.8)
    said = (
        f"{busy:.1f} of {threads:.1f} worker threads were taken, and {s.unseen:.1f} requests waited"
        " for one."
    )
    return Score(
        "workers", _outside_cpu(s, value), (said, f"The target used {s.cpu or 0:.2f} cores.")
    )


def _handed_over(s: Features, holding: Holding) -> Score:
    """Requests are handed to other threads, which are too few for them."""
    share = s.share("handoff", "unseen:handoff")
    who = ", ".join(sorted(name for name, _ in holding.holders))
    said = (
        f"{holding.waiting:.1f} threads waited in {holding.waiter[0]} for {holding.concurrent:.1f}"
        f" that worked for them ({who})."
    )
    return Score("workers", _outside_cpu(s, ramp(share, 0.15, 0.5)), (said,))


def sleep(s: Features) -> Score:
    """Requests spend their time asleep by the code's own wish."""
    share = s.share("sleep") if s.limiting == "threads" else s.share("sleep", "unseen:sleep")
    value = 0.8 * _outside_cpu(s, ramp(share, 0.3, 0.7)) * (1.0 - ramp(_polled(s), 0.2, 0.6))
    return Score(
        "sleep", value, (f"Sleeping is {format_share(share)} of the latency that load added.",)
    )


def disk(s: Features) -> Score:
    """Threads wait for storage."""
    share = s.share("disk", "unseen:disk")
    evidence = [f"Waiting for storage is {format_share(share)} of the latency that load added."]
    if "io" in s.psi:
        evidence.append(f"Some task waited for storage {format_share(s.psi['io'])} of the time.")
    return Score("disk", _outside_cpu(s, ramp(share, 0.2, 0.6)), tuple(evidence))


def memory(s: Features) -> Score:
    """The kernel had to find memory, or killed for it."""
    stalled = s.psi.get("memory", 0.0)
    value = 1.0 if s.oom_kills else ramp(stalled, 0.05, 0.3)
    said = f"Some task waited for memory {format_share(stalled)} of the time"
    return Score("memory", value, (f"{said}; {s.oom_kills} processes were killed for it.",))


def network(s: Features) -> Score:
    """Threads wait for clients to take their answers."""
    share = s.share("client", "unseen:client")
    return Score(
        "network",
        _outside_cpu(s, ramp(share, 0.3, 0.7)),
        (f"Sending is {format_share(share)} of what load added.",),
    )


def _of_cores(s: Features) -> Share:
    return s.cpu / s.cores if s.cpu is not None and s.cores else 0.0


def _outside_cpu(s: Features, value: float) -> float:
    """A wait explains less the nearer the CPU is to its own limit: then waiting is what a full CPU
    looks like.

    Nor does it explain much where an event loop's own thread does the waiting: whatever for, the
    loop is blocked.
    """
    if s.pool_is_loop and s.loop is not None:
        value *= 1.0 - 0.7 * ramp(s.loop.blocked, 0.05, 0.15)
    return value * (1.0 - 0.7 * ramp(_of_cores(s), 0.8, 0.95))
