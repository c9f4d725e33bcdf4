"""How long answers wait for the client to acknowledge their first piece.

A server that sends headers and body by two writes, without TCP_NODELAY, holds the second back until
the first is acknowledged (Nagle's algorithm, RFC 896); the client delays that acknowledgement in
the hope of sending it with data (RFC 1122, 4.2.3.2). Linux delays it by 40 ms at least
(TCP_DELACK_MIN in include/net/tcp.h); other systems by up to 200 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perfhunt.model.trial import Wire
from perfhunt.model.units import Seconds

# The delay is 40 ms and the timer's grain: at 100 Hz two ticks. A client that was busy reads later
# still.
ACK_DELAY: tuple[Seconds, Seconds] = (0.036, 0.065)
# Answers acknowledged at once, from which their median is what an answer takes without the delay.
HURRIED = 3


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
