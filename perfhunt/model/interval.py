"""A number with its doubt: estimate, interval, confidence and how many observations stand behind
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

from perfhunt.model.units import Share


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate between `low` and `high` at `confidence` (0..1), from `n` observations. Unit: the
    caller's.
    """

    value: float
    low: float
    high: float
    n: int
    confidence: Share = 0.95

    @property
    def half_width(self) -> Share:
        """Half the interval as a share of the estimate (0.1 = ±10 %); infinite for a 0."""
        return (self.high - self.low) / (2 * self.value) if self.value else float("inf")

    def scaled(self, factor: float) -> Interval:
        """The same estimate in another unit."""
        return Interval(
            value=self.value * factor,
            low=self.low * factor,
            high=self.high * factor,
            n=self.n,
            confidence=self.confidence,
        )

    def __str__(self) -> str:
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g}, n={self.n})"


def sampling_error(looks: Sequence[float]) -> float:
    """Standard error of a mean over a stretch of time that was looked at now and then, by how much
    neighbouring looks differ (von Neumann 1941): of what was between the looks, not of what another
    stretch would have been. `looks` are counts, and one of them may always have been one more: so
    looks that are all alike have an error too; a single one is as doubtful as it is large.
    """
    if len(looks) < 2:
        return float(sum(looks)) + 1.0
    differences = 1 + sum((b - a) ** 2 for a, b in pairwise(looks))
    return sqrt(differences / (2 * (len(looks) - 1)) / len(looks))
