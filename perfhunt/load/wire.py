"""Between client and service: what a sender counted of it, and what a trial keeps of that."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from perfhunt.analysis.trial.wire import AckDelay, ack_delay
from perfhunt.model.latency import RequestOutcome, nearest_rank, percentiles
from perfhunt.model.trial import Wire
from perfhunt.model.units import Seconds, Share

# Durations are counted in steps that grow with them: the shortest that is told from none, and how
# many steps there are to a factor of e, so that each is known to 1 %.
SHORTEST: Seconds = 1e-6
STEPS = 50
# A SYN that is lost is sent again after a second (RFC 6298, 2.1): no connection takes so long else.
SYN_AGAIN: Seconds = 0.9
_ANSWERED = (RequestOutcome.OK, RequestOutcome.STATUS)


class WireAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a sender counted during a step. `apart`, `hurried` and `connects` are durations: their
    step to how often they occurred.

    `apart` is from the first piece of an answer to its last, of answers that came in more than one;
    `hurried` the same for requests that do not count, whose first piece was acknowledged at once.
    `head_first` of the first came with the head alone, `new` connections were made for requests
    that count.
    """

    apart: dict[int, int] = {}
    hurried: dict[int, int] = {}
    head_first: int = 0
    connects: dict[int, int] = {}
    new: int = 0
    encodings: tuple[str, ...] = ()
    resolution: Seconds | None = None


def step_of(seconds: Seconds) -> int:
    """The step that a duration falls into."""
    return int(STEPS * math.log(seconds / SHORTEST)) if seconds > SHORTEST else 0


def duration_of(step: int) -> Seconds:
    """The middle of a step."""
    return SHORTEST * math.exp((step + 0.5) / STEPS)


def merged_accounts(accounts: Sequence[WireAccount | None]) -> WireAccount | None:
    """What several senders counted, as if one had; None where none counted."""
    there = [account for account in accounts if account is not None]
    if not there:
        return None
    return WireAccount(
        apart=_added(account.apart for account in there),
        hurried=_added(account.hurried for account in there),
        head_first=sum(account.head_first for account in there),
        connects=_added(account.connects for account in there),
        new=sum(account.new for account in there),
        encodings=tuple(sorted({name for account in there for name in account.encodings})),
        resolution=max((a.resolution for a in there if a.resolution is not None), default=None),
    )


def _added(counts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    return dict(sum((Counter(each) for each in counts), Counter()))


def wire_of(account: WireAccount | None, counted: NDArray[Any]) -> Wire | None:
    """What a trial keeps; None where the sender does not look at the wire. `counted` are the raw
    samples that count.
    """
    if account is None:
        return None
    sizes = counted["bytes"][np.isin(counted["outcome"], _ANSWERED)]
    apart, connects = _durations(account.apart), _durations(account.connects)
    hurried = _durations(account.hurried)
    connect, at_once = percentile(connects, 0.5), percentile(hurried, 0.5)
    delay: AckDelay = ack_delay(apart, sum(hurried.values()), at_once, connect)
    return Wire(
        answers=len(sizes),
        size_mean=float(sizes.mean()) if len(sizes) else None,
        size_p99=percentiles(sizes, (0.99,))[0],
        encodings=account.encodings,
        in_pieces=sum(apart.values()),
        head_first=account.head_first,
        gap_p50=percentile(apart, 0.5),
        gap_p99=percentile(apart, 0.99),
        gap_total=sum(gap * n for gap, n in apart.items()),
        held=delay.answers,
        held_total=delay.seconds,
        hurried=sum(hurried.values()),
        hurried_gap=at_once,
        connects=sum(connects.values()),
        new_connections=account.new,
        connect_p50=connect,
        connect_p99=percentile(connects, 0.99),
        slow_connects=sum(n for took, n in connects.items() if took >= SYN_AGAIN),
        resolution=account.resolution,
    )


def _durations(steps: Mapping[int, int]) -> dict[Seconds, int]:
    """How often each duration occurred, the shortest first."""
    return {duration_of(step): n for step, n in sorted(steps.items())}


def percentile(durations: Mapping[Seconds, int], share: Share) -> Seconds | None:
    """Nearest rank, of durations with how often they occurred, the shortest first; None of none."""
    total, seen = sum(durations.values()), 0
    rank = nearest_rank(total, share) if total else -1
    for duration, n in durations.items():
        seen += n
        if seen > rank >= 0:
            return duration
    return None
