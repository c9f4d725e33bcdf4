"""What a sample of n requests shows: the interval of a share, and that of a percentile.

Shares by Clopper and Pearson (Biometrika 26, 1934), which never claim too much; percentiles by
order statistics, whatever the distribution (Hahn and Meeker, Statistical Intervals, section 5.2).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from perfhunt.model.interval import Interval
from perfhunt.model.units import Seconds, Share

CONFIDENCE: Share = 0.95
_TAIL: Share = (1 - CONFIDENCE) / 2


def share_interval(exceed: int, n: int) -> Interval:
    """The share of all requests that exceed, where `exceed` of n did."""
    low = float(stats.beta.ppf(_TAIL, exceed, n - exceed + 1)) if exceed else 0.0
    high = float(stats.beta.ppf(1 - _TAIL, exceed + 1, n - exceed)) if exceed < n else 1.0
    value = exceed / n if n else 0.0
    return Interval(value=value, low=low, high=high, n=n, confidence=CONFIDENCE)


def percentile_interval(
    ordered: NDArray[np.float64], share: Share
) -> tuple[Seconds | None, Seconds | None]:
    """The ends of the interval that holds the percentile at `share`, read off ascending latencies;
    None for an end that so few do not show.
    """
    n = len(ordered)
    if not n:
        return None, None
    low = int(stats.binom.ppf(_TAIL, n, share))  # ranks, from 1
    high = int(stats.binom.ppf(1 - _TAIL, n, share)) + 1
    return (
        float(ordered[low - 1]) if low >= 1 else None,
        float(ordered[high - 1]) if high <= n else None,
    )


def needed(allowed: Share) -> int:
    """How many requests show, when none of them exceeds, that no more than this share do; as many
    bound the percentile beyond which that share lies.
    """
    return math.ceil(math.log(_TAIL) / math.log1p(-allowed))
