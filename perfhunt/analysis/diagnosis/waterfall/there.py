"""The mean of what looks showed, for the requests that there were.

Fifty looks at a queue that comes and goes meet more of it, or less, than there was: the generator
knows how many requests were there at each look and how many on the whole, so what a look shows is
corrected by what it would have been with that many (a control variate; Cochran 1977, chapter 7).
Parts that sum to all requests still do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perfhunt.analysis.blame.charge import ThreadCounts
from perfhunt.analysis.blame.reading import SpanReading

LEAST = 12  # looks that a slope is fitted to: fewer say little of it


@dataclass(frozen=True, slots=True)
class There:
    """Requests there at each look, less their mean (zeros: not known, or always as many), and by
    how much the looks met fewer than there were.
    """

    excess: ThreadCounts
    missed: float = 0.0

    def mean(self, counts: ThreadCounts) -> float:
        """The mean of a series of counts, as it would be for the requests that there were."""
        return max(0.0, float(counts.mean()) + self._slope(counts) * self.missed)

    def beside(self, counts: ThreadCounts) -> ThreadCounts:
        """The same counts less what came and went with the requests: what makes them uncertain."""
        beside: ThreadCounts = counts - self._slope(counts) * self.excess
        return beside

    def _slope(self, counts: ThreadCounts) -> float:
        """By how much a count grows with each request that is there."""
        varied = float(np.dot(self.excess, self.excess))
        return float(np.dot(counts, self.excess)) / varied if varied else 0.0


def there_of(reading: SpanReading) -> There:
    """What the generator knows of a span's looks."""
    seen = np.asarray(reading.span.in_service, dtype=np.float64)
    unknown = len(seen) != reading.account.instants or len(seen) < LEAST
    if unknown or reading.span.service is None:
        return There(np.zeros(reading.account.instants))
    every = reading.span.completed * reading.span.service
    return There(seen - seen.mean(), every - float(seen.mean()))
