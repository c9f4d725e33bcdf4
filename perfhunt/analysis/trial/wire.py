"""What passed between client and service: how long answers waited for an acknowledgement, and what
several trials of about one load say together.

A server that sends headers and body by two writes, without TCP_NODELAY, holds the second back until
the first is acknowledged (Nagle's algorithm, RFC 896); the client delays that acknowledgement in
the hope of sending it with data (RFC 1122, 4.2.3.2). Linux delays it by 40 ms at least
(TCP_DELACK_MIN in include/net/tcp.h); other systems by up to 200 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from perfhunt.model.trial import Resources, Trial, Wire
from perfhunt.model.units import PerSecond, Seconds, Share

# The delay is 40 ms and the timer's grain: at 100 Hz two ticks. A client that was busy reads later
# still.
ACK_DELAY: tuple[Seconds, Seconds] = (0.036, 0.065)
# Answers acknowledged at once, from which their median is what an answer takes without the delay.
HURRIED = 3
# Times a rate: trials within are of about that load. The hold alone sees few requests of a slow
# service, and fewer that are late.
ABOUT: tuple[float, float] = (0.6, 1.7)


@dataclass(frozen=True, slots=True)
class AckDelay:
    """How many answers waited for an acknowledgement, and for how long altogether."""

    answers: int
    seconds: Seconds


def ack_delay(
    gaps: Mapping[Seconds, int], hurried: int, at_once: Seconds | None, connect: Seconds | None
) -> AckDelay:
    """Of the gaps between first and last piece (each with how often it occurred), those that are
    longer by an acknowledgement's delay than they need be.

    They need be as long as those of the `hurried` answers, which were acknowledged at once
    (`at_once` is their median); without any, as long as it takes to connect: a round trip.
    """
    needed = at_once if hurried >= HURRIED and at_once is not None else connect or 0.0
    low, high = needed + ACK_DELAY[0], needed + ACK_DELAY[1]
    held = {gap: n for gap, n in gaps.items() if low <= gap <= high}
    return AckDelay(sum(held.values()), sum((gap - needed) * n for gap, n in held.items()))


def ack_wait(wire: Wire | None) -> Seconds:
    """What the wait for acknowledgements adds to an answer on average."""
    return wire.held_total / wire.answers if wire is not None and wire.answers else 0.0


def is_certain(wire: Wire) -> bool:
    """Whether answers were seen that were acknowledged at once, and came sooner."""
    return wire.hurried >= HURRIED


@dataclass(frozen=True, slots=True)
class WireReading:
    """Several trials of about one load, added up: counts and totals; a median is that of the trial
    with the most answers. `service` is the mean latency from the send, `over` the requests over the
    limit of the criterion that has most of them.
    """

    wire: Wire
    service: Seconds
    service_p50: Seconds
    over: int
    bytes_per_second: float
    ports_share: Share
    accept_queue: int | None
    accept_backlog: int | None
    overflows: int
    drops: int
    fds_most: int = 0  # of the process that was nearest to its limit
    fds_limit: int | None = None


def about(trials: Sequence[Trial], rate: PerSecond) -> tuple[Trial, ...]:
    """The trials of about this rate that went as planned; what else was done on the host meanwhile
    takes nothing away from what was seen of the wire.
    """
    low, high = ABOUT[0] * rate, ABOUT[1] * rate
    return tuple(t for t in trials if low <= t.step.rate <= high and not (t.overload or t.stopped))


def wire_reading(trials: Iterable[Trial]) -> WireReading | None:
    """The trials as one; None where none of them has answers on a wire that was looked at."""
    seen = [(trial, trial.wire) for trial in trials if trial.wire is not None]
    seen = [(t, w) for t, w in seen if w.answers and t.service.mean and t.service.p50]
    if not seen:
        return None
    first, _ = max(seen, key=lambda pair: pair[1].answers)
    there = [trial.resources or Resources(0.0) for trial, _ in seen]
    answers = sum(wire.answers for _, wire in seen)
    fullest = max(there, key=fds_share)
    sizes = sum((wire.size_mean or 0.0) * wire.answers for _, wire in seen)
    return WireReading(
        wire=added([wire for _, wire in seen]),
        service=sum((t.service.mean or 0.0) * w.answers for t, w in seen) / answers,
        service_p50=first.service.p50 or 0.0,
        over=sum(max((c.exceed for c in t.counts.values()), default=0) for t, _ in seen),
        bytes_per_second=first.completed * sizes / answers,
        ports_share=max(trial.generator.ports_share or 0.0 for trial, _ in seen),
        accept_queue=max(
            (r.accept_queue for r in there if r.accept_queue is not None), default=None
        ),
        accept_backlog=max(
            (r.accept_backlog for r in there if r.accept_backlog is not None), default=None
        ),
        overflows=sum(r.listen_overflows or 0 for r in there),
        drops=sum(r.listen_drops or 0 for r in there),
        fds_most=fullest.fds_most or 0,
        fds_limit=fullest.fds_limit,
    )


def fds_share(used: Resources) -> Share:
    """Of the files that a process may have open, how many the fullest had."""
    return (used.fds_most or 0) / used.fds_limit if used.fds_limit else 0.0


def added(wires: Sequence[Wire]) -> Wire:
    """Several as one: counts and totals added, a percentile from the one with the most of what it
    is of.
    """
    pieces = max(wires, key=lambda w: w.in_pieces)
    hurried = max(wires, key=lambda w: w.hurried)
    connecting = max(wires, key=lambda w: w.connects)
    answers = sum(w.answers for w in wires)
    return Wire(
        answers=answers,
        size_mean=sum((w.size_mean or 0.0) * w.answers for w in wires) / answers,
        size_p99=max((w.size_p99 for w in wires if w.size_p99 is not None), default=None),
        encodings=tuple(sorted({name for w in wires for name in w.encodings})),
        in_pieces=sum(w.in_pieces for w in wires),
        head_first=sum(w.head_first for w in wires),
        gap_p50=pieces.gap_p50,
        gap_p99=pieces.gap_p99,
        gap_total=sum(w.gap_total for w in wires),
        held=sum(w.held for w in wires),
        held_total=sum(w.held_total for w in wires),
        hurried=sum(w.hurried for w in wires),
        hurried_gap=hurried.hurried_gap,
        connects=sum(w.connects for w in wires),
        new_connections=sum(w.new_connections for w in wires),
        connect_p50=connecting.connect_p50,
        connect_p99=connecting.connect_p99,
        slow_connects=sum(w.slow_connects for w in wires),
        resolution=wires[0].resolution,
    )
