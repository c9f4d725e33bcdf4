"""Whether the largest part of the added latency and the class of bottleneck say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfhunt.model.finding import Bottleneck, BottleneckClass, LatencyPart, Rise
from perfhunt.model.units import Seconds, Share, format_duration

_ON_LOOP = frozenset(LatencyPart) - {
    LatencyPart.ACK,
    LatencyPart.OUTSIDE,
    LatencyPart.GENERATOR,
    LatencyPart.UNEXPLAINED,
}
# What load adds to where a service of a class is at its end; classes of which latency says nothing
# (a leak, a limiter) are not here.
_GROWS: Mapping[BottleneckClass, frozenset[LatencyPart]] = {
    BottleneckClass.CPU: frozenset({LatencyPart.CPU, LatencyPart.RUN_QUEUE, LatencyPart.GIL}),
    BottleneckClass.CPU_QUOTA: frozenset(
        {LatencyPart.CPU, LatencyPart.RUN_QUEUE, LatencyPart.NEIGHBOURS, LatencyPart.GIL}
    ),
    BottleneckClass.GIL: frozenset({LatencyPart.GIL, LatencyPart.CPU, LatencyPart.RUN_QUEUE}),
    BottleneckClass.EVENT_LOOP: _ON_LOOP,
    BottleneckClass.EVENT_LOOP_BLOCKED: _ON_LOOP,
    BottleneckClass.LOCK: frozenset({LatencyPart.LOCK}),
    BottleneckClass.POOL: frozenset({LatencyPart.POOL, LatencyPart.LOCK, LatencyPart.AWAIT}),
    BottleneckClass.WORKERS: frozenset(
        {LatencyPart.QUEUED, LatencyPart.HANDOFF, LatencyPart.AWAIT}
    ),
    BottleneckClass.DOWNSTREAM: frozenset(
        {LatencyPart.SOCKET, LatencyPart.POLL, LatencyPart.AWAIT, LatencyPart.POOL}
    ),
    BottleneckClass.DISK: frozenset({LatencyPart.DISK}),
    BottleneckClass.SLEEP: frozenset({LatencyPart.SLEEP}),
    BottleneckClass.DELAYED_ACK: frozenset({LatencyPart.ACK}),
    BottleneckClass.NETWORK: frozenset({LatencyPart.CLIENT, LatencyPart.UNEXPLAINED}),
    BottleneckClass.GENERATOR: frozenset({LatencyPart.GENERATOR, LatencyPart.UNEXPLAINED}),
    # What others take of the cores slows all that needs one.
    BottleneckClass.HOST: frozenset(
        {LatencyPart.NEIGHBOURS, LatencyPart.RUN_QUEUE, LatencyPart.CPU, LatencyPart.GIL}
    ),
}
_LOCKED = _GROWS[BottleneckClass.LOCK]
_POLLED = frozenset({LatencyPart.SLEEP})

_WORDS: Mapping[LatencyPart, str] = {
    LatencyPart.CPU: "time on a CPU",
    LatencyPart.RUN_QUEUE: "waiting for a CPU",
    LatencyPart.NEIGHBOURS: "waiting for a CPU that other programs had",
    LatencyPart.GIL: "waiting for the GIL",
    LatencyPart.LOCK: "waiting for locks",
    LatencyPart.POOL: "waiting for one of a pool",
    LatencyPart.HANDOFF: "waiting for work that was handed over",
    LatencyPart.PACED: "waiting for a rate limiter",
    LatencyPart.AWAIT: "awaiting results",
    LatencyPart.SOCKET: "waiting for sockets",
    LatencyPart.CLIENT: "waiting for clients",
    LatencyPart.POLL: "waiting in a poll",
    LatencyPart.DISK: "waiting for the disk",
    LatencyPart.SLEEP: "sleeping",
    LatencyPart.LOOP: "waiting for the event loop",
    LatencyPart.QUEUED: "queued before it was taken up",
    LatencyPart.ACK: "waiting for delayed acknowledgements",
    LatencyPart.OUTSIDE: "outside the service",
    LatencyPart.GENERATOR: "sending late",
    LatencyPart.UNEXPLAINED: "not accounted for",
    LatencyPart.OTHER: "in waits too small to name",
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """What load added to where a service of the class is at its end, and to the `largest` part that
    is elsewhere.
    """

    agreeing: Seconds
    largest: LatencyPart
    elsewhere: Seconds

    @property
    def share(self) -> Share:
        """How much of both the class explains."""
        return self.agreeing / (self.agreeing + self.elsewhere)


def disagreement(bottleneck: Bottleneck, parts: Sequence[Rise], unexplained: Rise) -> str:
    """How the largest part differs from the class, as a sentence; "" where they agree, or where
    latency says nothing of the class.
    """
    found = contradiction(bottleneck, parts, unexplained)
    if found is None:
        return ""
    return (
        f"Most of what load added, {format_duration(found.elsewhere)}, is"
        f" {_WORDS[found.largest]}; what the class ({bottleneck.category}) is about grew by"
        f" {format_duration(found.agreeing)}. Take the class with care, and hold longer to see"
        " more."
    )


def contradiction(
    bottleneck: Bottleneck, parts: Sequence[Rise], unexplained: Rise
) -> Agreement | None:
    """By how much the largest part differs from the class; None where they agree, or where latency
    says nothing of the class.
    """
    grows = _GROWS.get(bottleneck.category)
    every = [*parts, unexplained]
    if bottleneck.category == BottleneckClass.LOCK and not any(p.kind in _LOCKED for p in every):
        grows = _POLLED  # The class was told by those who sleep until something is free.
    if grows is None or not any(part.added.value > 0 for part in every):
        return None
    added: dict[LatencyPart, Seconds] = {}
    at_least: dict[LatencyPart, Seconds] = {}
    for part in every:
        kind = part.kind if part.kind in grows else part.meanwhile or part.kind
        added[kind] = added.get(kind, 0.0) + part.added.value
        at_least[kind] = at_least.get(kind, 0.0) + part.added.low
    agreeing = max(0.0, sum(value for kind, value in added.items() if kind in grows))
    largest = max((k for k in added if k not in grows), key=lambda k: added[k], default=None)
    if largest is None or at_least[largest] <= agreeing:
        return None
    return Agreement(agreeing, largest, added[largest])
