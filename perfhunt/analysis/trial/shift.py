"""Whether the service answered one step otherwise than it had answered the same step before.

Both trials have the same arrivals, so their seconds are compared in pairs: what the arrivals did to
a second of the one they did to the same second of the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from perfhunt.model.interval import Interval
from perfhunt.model.trial import SecondRow, Trial
from perfhunt.model.units import Share

CONFIDENCE: Share = 0.99  # of a ratio's interval: several are looked at in every search
FEWEST_PAIRS = 3  # seconds
# A ratio nearer to 1 is no change worth an answer: a service that answers a third slower at half
# its knee has lost about an eighth of it, little more than a knee's own precision.
WORTH = 1.3


class ShiftedMeasure(StrEnum):
    """What of the response is compared: a stall of the whole service shows in the mean alone."""

    MEDIAN = "median"
    MEAN = "mean"


@dataclass(frozen=True, slots=True)
class Shift:
    """How many times as long the answers of the later trial took; n is pairs of seconds."""

    of: ShiftedMeasure
    ratio: Interval

    @property
    def slower(self) -> bool:
        """Whether the service clearly became slower."""
        return self.ratio.low > 1 and self.ratio.value > WORTH

    @property
    def quicker(self) -> bool:
        """Whether the service clearly became quicker."""
        return self.ratio.high < 1 and self.ratio.value < 1 / WORTH


def shifts(early: Trial, late: Trial) -> tuple[Shift, ...]:
    """The shift of the median and of the mean between two trials of the same step; those that too
    few seconds tell are left out.

    A mean is read off the requests in flight in each second (Little's law), the median off each
    second's own.
    """
    pairs = _pairs(early, late)
    medians = np.array([(a.p50, b.p50) for a, b in pairs if a.p50 and b.p50], dtype=float)
    means = np.array([(a.in_flight, b.in_flight) for a, b in pairs], dtype=float)
    found = (
        (ShiftedMeasure.MEDIAN, _ratio_of_pairs(medians)),
        (ShiftedMeasure.MEAN, _ratio_of_sums(means)),
    )
    return tuple(Shift(of, ratio) for of, ratio in found if ratio is not None)


def slower(early: Trial, late: Trial) -> bool:
    """Whether the service clearly answers slower than it did, or cannot keep up where it could."""
    broke = bool(late.overload) and not early.overload
    return broke or any(shift.slower for shift in shifts(early, late))


def _pairs(early: Trial, late: Trial) -> Sequence[tuple[SecondRow, SecondRow]]:
    settle = early.step.settle
    after = {row.second: row for row in late.rows if row.second >= settle}
    return [(row, after[row.second]) for row in early.rows if row.second in after]


def _ratio_of_pairs(values: NDArray[np.float64]) -> Interval | None:
    """The ratio as the mean of the pairs' logarithms."""
    if len(values) < FEWEST_PAIRS:
        return None
    logs = np.log(values[:, 1] / values[:, 0])
    return _interval(float(logs.mean()), float(logs.std(ddof=1)), len(logs))


def _ratio_of_sums(values: NDArray[np.float64]) -> Interval | None:
    """The ratio of the totals, its error by the delta method (Cochran 1977, section 6.4)."""
    if len(values) < FEWEST_PAIRS or values.sum(axis=0).min() <= 0:
        return None
    before, after = values.mean(axis=0)
    ratio = float(after / before)
    residuals = (values[:, 1] - ratio * values[:, 0]) / after
    return _interval(math.log(ratio), float(residuals.std(ddof=1)), len(values))


def _interval(log_ratio: float, spread: float, n: int) -> Interval:
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1)) * spread / math.sqrt(n)
    return Interval(
        value=math.exp(log_ratio),
        low=math.exp(log_ratio - half),
        high=math.exp(log_ratio + half),
        n=n,
        confidence=CONFIDENCE,
    )
