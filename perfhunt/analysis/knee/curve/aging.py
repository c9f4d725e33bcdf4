"""The knee of a service that gets worse with every request: fresh, now, and how fast it falls.

A trial at a rate and an age is taken as one of the fresh service at a higher rate: the knee falls
exponentially with the requests served, and how fast is one more unknown of the fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from perfhunt.analysis.knee.curve.fit import (
    GRID_KNEES,
    WIDEN_SOFT,
    posterior_of,
    telling_points,
    weighted_quantiles,
)
from perfhunt.analysis.knee.curve.points import FitPoint, points
from perfhunt.analysis.knee.curve.shapes import CurvePrior, Values
from perfhunt.analysis.knee.observed import observed_capacity
from perfhunt.model.interval import Interval
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import FITTED_PHASES, Phase, Trial
from perfhunt.model.units import PerSecond, Share

THOUSAND = 1000.0  # requests: the unit of an age
FALLS = 41  # rates of fall on the grid
FURTHEST = 10.0  # times that the knee may fall within the search
FEWEST = 4  # trials at different ages, below which a fall is not told from the curve's slope
CONFIDENCE: Share = 0.95
# The ramp is all there is of the young service: that its trials are short moves a knee by less than
# a tenth, which a fall is not known to.
AGED_PHASES = FITTED_PHASES | {Phase.RAMP, Phase.REFERENCE}


@dataclass(frozen=True, slots=True)
class Aging:
    """The knee when the run began and at its end, `requests` later; `fall` is the share of it that
    is lost with the first thousand requests. Intervals at 95 %; n is trials.
    """

    fresh: Interval
    now: Interval
    fall: Interval
    requests: float


@dataclass(frozen=True, slots=True)
class AgedPoint:
    """A point of the curve, and the age of the service there in thousands of requests."""

    point: FitPoint
    age: float

    def when_fresh(self, fall: float) -> FitPoint:
        """The rate at which the fresh service would have been as late; `fall` is of ln(knee) per
        thousand requests.
        """
        return replace(self.point, rate=self.point.rate * math.exp(fall * self.age))


def served_before(trials: Sequence[Trial]) -> list[float]:
    """Requests sent before the middle of each trial, the first one's half included."""
    sent = np.array([trial.achieved * trial.seconds for trial in trials], dtype=float)
    middles: list[float] = (np.cumsum(sent) - 0.5 * sent).tolist()
    return middles


def aging(baseline: Trial, trials: Sequence[Trial], criterion: Criterion) -> Aging | None:
    """The knee fresh and now, through all trials that may be fitted; None where they are too few.

    `baseline` was served before them.
    """
    history = (baseline, *trials)
    middles = served_before(history)
    ages = dict(zip(map(id, history), (m / THOUSAND for m in middles), strict=True))
    capacity = observed_capacity(trials)
    aged = tuple(
        AgedPoint(point, ages[id(trial)])
        for trial in trials
        for point in points((trial,), criterion, capacity, AGED_PHASES)
    )
    end = (middles[-1] + 0.5 * trials[-1].achieved * trials[-1].seconds) / THOUSAND if trials else 0
    if len({point.age for point in aged}) < FEWEST or end <= 0:
        return None
    bursts = [ages[id(trial)] for trial in trials if trial.step.phase is Phase.CAPACITY]
    at = bursts[-1] if bursts else 0.0
    falls = np.linspace(0.0, math.log(FURTHEST) / end, FALLS)
    surface = _surface(aged, criterion, capacity, at, falls)
    best = float(falls[int(surface.sum(axis=1).argmax())])
    prior = CurvePrior(criterion, _grown(capacity, best * at))
    told = telling_points(tuple(p.when_fresh(best) for p in aged), prior)
    kept = tuple(p for p in aged if p.when_fresh(best) in told)
    surface = _surface(kept, criterion, capacity, at, falls)
    return _summary(kept, surface, falls, end)


def _grown(capacity: PerSecond | None, by: float) -> PerSecond | None:
    return None if capacity is None else capacity * math.exp(by)


def _knees(aged: Sequence[AgedPoint], falls: Values) -> Values:
    low = 0.5 * min(p.point.rate for p in aged)
    high = 1.5 * max(p.when_fresh(float(falls[-1])).rate for p in aged)
    return np.exp(np.linspace(math.log(low), math.log(high), 3 * GRID_KNEES))


def _surface(
    aged: Sequence[AgedPoint],
    criterion: Criterion,
    capacity: PerSecond | None,
    at: float,
    falls: Values,
) -> Values:
    """The weight of every fall and knee of the fresh service; (falls, knees), summing to 1."""
    knees = _knees(aged, falls)
    rows = []
    for fall in falls:
        prior = CurvePrior(criterion, _grown(capacity, float(fall) * at))
        grid = posterior_of([p.when_fresh(float(fall)) for p in aged], prior, knees)
        rows.append(np.log(np.maximum(grid.marginal, 1e-300)) + grid.evidence)
    logs = np.array(rows)
    weight: Values = np.exp(logs - logs.max())
    weight /= weight.sum()
    return weight


def _summary(aged: Sequence[AgedPoint], surface: Values, falls: Values, end: float) -> Aging:
    knees = np.log(_knees(aged, falls))
    fall, fresh = np.meshgrid(falls, knees, indexing="ij")
    n = len(aged)

    def interval(values: Values) -> tuple[float, float, float]:
        low, middle, high = weighted_quantiles(
            values, surface, (0.5 - CONFIDENCE / 2, 0.5, 0.5 + CONFIDENCE / 2)
        )
        return middle, middle + WIDEN_SOFT * (low - middle), middle + WIDEN_SOFT * (high - middle)

    def rate(values: Values) -> Interval:
        middle, low, high = map(math.exp, interval(values))
        return Interval(value=middle, low=low, high=high, n=n, confidence=CONFIDENCE)

    middle, low, high = (1 - math.exp(-max(0.0, x)) for x in interval(fall))
    return Aging(
        fresh=rate(fresh),
        now=rate(fresh - fall * end),
        fall=Interval(value=middle, low=low, high=high, n=n, confidence=CONFIDENCE),
        requests=end * THOUSAND,
    )
