"""The mean of what looks showed, for the requests that there were.

Fifty looks at a queue that comes and goes meet more of it, or less, than there was: the generator
knows how many requests were there at each look and how many on the whole, so what a look shows is
corrected by what it would have been with that many (a control variate; Cochran 1977, chapter 7).
Parts that sum to all requests still do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST = 12  # looks that a slope is fitted to: fewer say little of it


@dataclass(frozen=True, slots=True)
class There:
    """Requests there at each look, less their mean (zeros: not known, or always as many), and by
    how much the looks met fewer than there were.
    """

    excess: NDArray[np.float64]
    missed: float = 0.0

    @staticmethod
    def of(requests: Sequence[int], looks: int, every: float | None) -> There:
        """What is known of `looks` looks: the requests there at each of them, and how many there
        were on the whole (None: not known).
        """
        seen = np.asarray(requests, dtype=np.float64)
        if len(seen) != looks or looks < LEAST or every is None:
            return There(np.zeros(looks))
        return There(seen - seen.mean(), every - float(seen.mean()))

    def mean(self, counts: NDArray[np.float64]) -> float:
        """The mean of a series of counts, as it would be for the requests that there were."""
        return max(0.0, float(counts.mean()) + self._slope(counts) * self.missed)

    def beside(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same counts less what came and went with the requests: what makes them uncertain."""
        beside: NDArray[np.float64] = counts - self._slope(counts) * self.excess
        return beside

    def _slope(self, counts: NDArray[np.float64]) -> float:
        """By how much a count grows with each request that is there."""
        varied = float(np.dot(self.excess, self.excess))
        return float(np.dot(counts, self.excess)) / varied if varied else 0.0
