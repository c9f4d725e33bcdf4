"""The patient part of a climb: ascending passes around the estimate, a drain after each, one fit
over all of them.
"""

from __future__ import annotations

import math

from perfhunt.analysis.knee.fit import Fit, capacity_seen, points, refit
from perfhunt.analysis.knee.log import Doing, Log, hot
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Phase
from perfhunt.model.units import PerSecond, Seconds, Share

DWELL: Seconds = 12.0
SHORTEST: Seconds = 5.0
SETTLE: Seconds = 1.0
DRAIN: Seconds = 4.0  # set aside for the drains of the last passes
LIMITS = 8.0  # times the latency limit that a trial should last, budget permitting
REQUESTS = 1000  # that a trial should hold, budget permitting
# Where a pass looks, as multiples of the share that the criterion allows. Most of it lies above:
# exceedances are many there, and the slope that carries them down to the knee is known from the
# capacity.
MULTIPLES = (0.8, 2.0, 5.0)
MOST_LATE = 0.9  # of the requests, wherever a pass looks
BEYOND = 1.02  # times the capacity: above it every queue runs away, and a trial says only that
ENOUGH = 2  # passes, before the interval may end the search


def passes(log: Log, guess: PerSecond) -> Doing:
    """Run passes until the interval is as narrow as the goal asks.

    Raises OutOfBudget when that ends it.
    """
    while True:
        fits = fits_of(log)
        leader = steering(fits)
        if leader is not None:
            guess = leader.knee
            if log.passes >= ENOUGH and leader.half_width <= log.goal.precision:
                return
        criterion = leader.criterion if leader else log.goal.criteria[0]
        log.passes += 1
        yield from _one(
            log, criterion.share, places(log, criterion, leader, guess), dwell(log, guess)
        )


def fits_of(log: Log) -> dict[str, Fit]:
    """The fit of each criterion that anything exceeded; one that nothing did cannot be where the
    service breaks first.
    """
    found = {}
    for criterion in log.goal.criteria:
        if any(point.exceed for point in points(log.trials, criterion)):
            curve = refit(log.trials, criterion)
            if curve is not None:
                found[criterion.name] = curve
    return found


def steering(fits: dict[str, Fit]) -> Fit | None:
    """The criterion that breaks first: passes are placed around its knee."""
    return min(fits.values(), key=lambda f: f.knee, default=None)


def dwell(log: Log, rate: PerSecond) -> Seconds:
    """Seconds per trial: enough requests, but so that whole passes fill what is left of the budget,
    two if they fit.
    """
    wanted = max(DWELL, REQUESTS / rate, LIMITS * log.limit)
    room = log.left - DRAIN
    trials = len(MULTIPLES)
    for passes in (2, 1):
        each = room / (passes * trials) - SETTLE
        if each >= (wanted if passes == 2 else 0):
            return float(
                math.floor(wanted if passes == 2 else max(SHORTEST, min(each, 1.5 * wanted)))
            )
        if passes == 2 and each >= SHORTEST:
            return float(math.floor(each))
    return SHORTEST


def places(log: Log, criterion: Criterion, leader: Fit | None, knee: PerSecond) -> list[PerSecond]:
    """Ascending rates at which the share over the limit should be the chosen multiples of what is
    allowed.
    """
    slope = max(3.0, min(100.0, leader.slope if leader else 10.0))
    rates = [knee * (1 + _shift(criterion.share, times) / slope) for times in MULTIPLES]
    capacity = capacity_seen(log.trials)
    most = min(log.goal.max_rate, BEYOND * capacity if capacity else math.inf)
    return sorted({min(most, rate) for rate in rates})


def _shift(share: Share, times: float) -> float:
    return min(math.log(times), math.log(MOST_LATE / share))


def _one(log: Log, share: Share, rates: list[PerSecond], seconds: Seconds) -> Doing:
    for rate, times in zip(
        rates, MULTIPLES, strict=False
    ):  # fewer rates when the ceiling made some of them equal
        trial = yield from log.measure(
            Phase.PASS, rate, seconds + SETTLE, SETTLE, late=min(0.5, times * share)
        )
        if hot(trial):
            break
    if not log.rested:
        yield from log.drain()
