"""Whether an event loop stops the service: by its own work, or by what holds it up."""

from __future__ import annotations

from dataclasses import dataclass

from perfhunt.analysis.diagnosis.features import BLOCKING, Features
from perfhunt.analysis.diagnosis.rules.collector import left_by_collector
from perfhunt.analysis.diagnosis.rules.score import ClassScore, RampBounds, nothing, of_added, ramp
from perfhunt.model.finding import BottleneckClass
from perfhunt.model.units import format_share


@dataclass(frozen=True, slots=True)
class EventLoopThresholds:
    """When the loop's own work is the reason. Shares of the time of the loop's thread."""

    running: RampBounds = (0.45, 0.85)  # on a CPU, or waiting to be
    blocked: RampBounds = (0.1, 0.35)  # asleep outside its poll: then that is the reason
    # Share of the cores, and how much of the score that takes: with several processes, each with a
    # loop of its own, the cores run out first.
    of_cores: RampBounds = (0.7, 0.9)
    cores_take: float = 0.5


EVENT_LOOP = EventLoopThresholds()


def event_loop(features: Features) -> ClassScore:
    """The event loop's thread computes all the time."""
    loop = features.loop
    if loop is None:
        return nothing(BottleneckClass.EVENT_LOOP)
    # It queues for a CPU that its peers or others have: that is their work, not its own.
    queued = loop.queued * min(features.own_part, 1.0 - features.peers_part)
    value = ramp(loop.on_cpu + queued, EVENT_LOOP.running)
    value *= 1.0 - ramp(loop.blocked, EVENT_LOOP.blocked)
    if features.processes > 1:
        value *= 1.0 - EVENT_LOOP.cores_take * ramp(features.of_cores, EVENT_LOOP.of_cores)
    value *= left_by_collector(features)
    sentence = (
        f"The event loop's thread was on a CPU {format_share(loop.on_cpu)} of the time,"
        f" and {format_share(loop.queued)} waiting to be."
    )
    return ClassScore(BottleneckClass.EVENT_LOOP, value, (sentence, *_long_polls(features)))


@dataclass(frozen=True, slots=True)
class LoopBlockedThresholds:
    """When something that sleeps on the loop's thread is the reason."""

    blocked: RampBounds = (0.08, 0.35)  # share of the thread's time
    # Less of its time is enough where the latency that load added is of the same kinds: a rare
    # call that takes long holds up every connection at once.
    rarely_blocked: RampBounds = (0.05, 0.15)
    added: RampBounds = (0.3, 0.6)  # share of added latency


LOOP_BLOCKED = LoopBlockedThresholds()
_NAMED = 2  # tasks named in the evidence


def event_loop_blocked(features: Features) -> ClassScore:
    """The event loop's thread sleeps in something that is not its poll, and every connection waits
    meanwhile.
    """
    loop = features.loop
    if loop is None:
        return nothing(BottleneckClass.EVENT_LOOP_BLOCKED)
    share = features.share_anywhere(*BLOCKING) if features.pool_is_loop else 0.0
    value = max(
        ramp(loop.blocked, LOOP_BLOCKED.blocked),
        ramp(loop.blocked, LOOP_BLOCKED.rarely_blocked) * ramp(share, LOOP_BLOCKED.added),
    )
    slept = (
        f"The event loop's thread slept outside its poll {format_share(loop.blocked)} of the time"
        f" ({loop.state})."
    )
    # Of those who wait for the loop meanwhile it says nothing, so a little of it is none.
    added = f"That is {of_added(features, share)}."
    told = (added,) if share > LOOP_BLOCKED.added[0] else ()
    evidence = (slept, *told, *_long_polls(features))
    return ClassScore(BottleneckClass.EVENT_LOOP_BLOCKED, value, evidence)


def _long_polls(features: Features) -> tuple[str, ...]:
    """What the runtime itself says of tasks that keep a thread of the loop."""
    return tuple(
        f"A {poll.task} was polled for {poll.mean * 1e3:.3g} ms at a time ({poll.polls:,}"
        " polls): nothing else runs on its worker meanwhile."
        for poll in features.long_polls[:_NAMED]
    )
