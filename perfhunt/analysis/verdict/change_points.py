"""Where a series of runs moved to another level: a rank test over every place where it could have.

The statistic is that of Mann and Whitney between the runs before and after a place, standardised
and taken at its largest (Pettitt 1979, with the weights of James, James and Siegmund 1987); its p
comes from permutations, so no shape of the noise is assumed. Where one is found, both sides are
looked at again (binary segmentation).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from perfhunt.model.units import Share

# Chance of a change where there is none, in one series: a page has five of them.
ERROR_RATE: Share = 0.01
# With fewer values no order of them is as rare as that: of 10, the rarest has p = 2 / C(10, 5).
FEWEST = 10
PERMUTATIONS = 9999  # the least p is a hundredth of ERROR_RATE
SEED = 1  # the same runs, the same page


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """The first value of a new level: its place in the series, the medians of the two stretches
    that it parts, and the chance of so much of a step in stretches that are alike.
    """

    at: int
    before: float
    after: float
    p: Share

    @property
    def change(self) -> Share:
        """What was added, over what was there."""
        return self.after / self.before - 1


def change_points(values: Sequence[float]) -> tuple[ChangePoint, ...]:
    """Where a series of positive numbers changes its level, in order; none in fewer than FEWEST."""
    places = dict(_places(np.asarray(values, float), 0))
    edges = [0, *sorted(places), len(values)]
    return tuple(
        ChangePoint(at, _level(values[left:at]), _level(values[at:right]), places[at])
        for left, at, right in zip(edges, edges[1:], edges[2:], strict=False)
    )


def _level(values: Sequence[float]) -> float:
    return float(median(values))


def _places(values: NDArray[np.float64], offset: int) -> Iterator[tuple[int, Share]]:
    if len(values) < FEWEST:
        return
    at, p = _largest_step(values)
    if p <= ERROR_RATE:
        yield offset + at, p
        yield from _places(values[:at], offset)
        yield from _places(values[at:], offset + at)


def _largest_step(values: NDArray[np.float64]) -> tuple[int, Share]:
    """Where the step is largest, and its p."""
    from scipy.stats import permutation_test, rankdata

    ranks = rankdata(values) - (len(values) + 1) / 2
    sizes = np.arange(1, len(values))
    weights = 1 / np.sqrt(sizes * (len(values) - sizes))

    def steps(x: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        sums = np.abs(np.cumsum(np.moveaxis(x, axis, -1), axis=-1)[..., :-1])
        standardised: NDArray[np.float64] = sums * weights
        return standardised

    def largest(x: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        most: NDArray[np.float64] = steps(x, axis).max(axis=-1)
        return most

    test = permutation_test(
        (ranks,),
        largest,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        alternative="greater",
        rng=np.random.default_rng(SEED),
    )
    return int(np.argmax(steps(ranks))) + 1, float(test.pvalue)
