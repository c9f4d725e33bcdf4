"""What is held while others wait for it, and why that may not be known well enough to predict."""

from __future__ import annotations

from collections.abc import Iterator

from perfhunt.analysis.blame.reading import SpanReading
from perfhunt.analysis.blame.wait_for import THRESHOLDS, Contention
from perfhunt.model.units import times

# Mean number of waiters, and how many of them were seen, from which a lock is known to be one: it
# may limit the service once something else does not.
_LEAST_WAITERS, _SEEN_WAITING = 0.02, 10


def kept_from_others(knee: SpanReading) -> Iterator[Contention]:
    """What is held while others wait, and not done for them by other threads, which are a pool of
    their own.
    """
    return (c for c in knee.account.graph.contentions if c.holders and not c.handoff)


def is_seldom(contention: Contention, knee: SpanReading) -> bool:
    """Whether too few were seen to wait for it to say how long it is held."""
    return contention.waiting < _LEAST_WAITERS or _seen(contention, knee) < _SEEN_WAITING


def not_known(knee: SpanReading) -> str:
    """Why what is waited for most is no station, as the end of a sentence; "" where it is one."""
    most = max(kept_from_others(knee), key=lambda c: c.waiting, default=None)
    if most is None:
        return ""
    what, where = "pool" if most.is_pool else "lock", most.waiter[0]
    if is_seldom(most, knee):
        met = times(round(_seen(most, knee)))
        return (
            f"; who waits for the {what} in {where} was met {met} only, too seldom to say how"
            " long it is kept"
        )
    if not most.is_pool and most.concurrent >= THRESHOLDS.several:
        return f"; {where} takes one of several locks, and how much each is wanted is not known"
    return ""


def _seen(contention: Contention, knee: SpanReading) -> float:
    return contention.waiting * knee.account.instants
