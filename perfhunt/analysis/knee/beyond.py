"""The rate at which a break shows that the knee itself does not show: refusals, or a queue that is
short below.
"""

from __future__ import annotations

from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.model.knee import Knee, KneeLabel
from perfhunt.model.trial import Phase
from perfhunt.model.units import PerSecond

# Times the high end of the knee's interval: beyond it for sure, and not much.
JUST_ABOVE = 1.1
# The same where requests fail at once: refusals keep no queue, and more of them are seen.
REFUSING = 1.5


def rate_beyond(climb: SearchResult, most: PerSecond) -> PerSecond | None:
    """A rate just above the knee, never more than the search has sent already, nor than `most`,
    nor, unless requests are refused, than the capacity; None without a knee, or where no such rate
    is left: at a knee so near to the capacity the break shows anyway.
    """
    knee = climb.knee
    if not isinstance(knee, Knee) or knee.label == KneeLabel.RESOURCE:
        return None
    tried = [t.step.rate for t in climb.trials if not t.invalid and t.step.phase != Phase.WARMUP]
    within = min(most, max(tried, default=0.0))
    if knee.label == KneeLabel.ERRORS:
        rate = min(REFUSING * knee.high, within)
        return rate if rate > knee.high else None
    # Beyond the capacity a queue grows without end, and costs that are told by it mean nothing.
    most_answered = climb.capacity.rate if climb.capacity is not None else within
    rate = min(JUST_ABOVE * knee.high, within, most_answered)
    return rate if rate > JUST_ABOVE * knee.rate else None
