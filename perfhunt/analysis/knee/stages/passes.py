"""The patient part of a search: ascending passes around the estimate, a drain after each, one fit
over all of them.
"""

from __future__ import annotations

import math

from perfhunt.analysis.knee.curve.fit import KneeFit, fit_trials
from perfhunt.analysis.knee.curve.points import points
from perfhunt.analysis.knee.goal import SearchStage
from perfhunt.analysis.knee.observed import observed_capacity
from perfhunt.analysis.knee.resource_limits import first_used_up
from perfhunt.analysis.knee.stages.reference import reference_if_due
from perfhunt.analysis.knee.state import SearchState, hot
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Phase
from perfhunt.model.units import PerSecond, Seconds, Share

DWELL: Seconds = 12.0
SHORTEST: Seconds = 5.0
SHORTEST_LIMITS = 2.5  # times the latency limit: a queue takes that long to show
SETTLE: Seconds = 1.0
DRAIN: Seconds = 4.0  # set aside for the drains of the last passes
LIMITS = 8.0  # times the latency limit that a trial should last, budget permitting
REQUESTS = 1000  # that a trial should hold, budget permitting
STRETCH = 1.5  # times the dwell, at most, when a single pass has the budget to itself
# Where a pass measures, as multiples of the share that the criterion allows. Most of it lies above:
# exceedances are many there, and the slope that carries them down to the knee is known from the
# capacity.
MULTIPLES = (0.8, 2.0, 5.0)
CAREFUL = (0.5, 1.0, 2.0)  # with a service that takes long to come back from an overload
MOST_LATE: Share = 0.9  # of the requests, wherever a pass measures
MOST_TYPICAL: Share = 0.5  # of the requests late, up to which arrivals are chosen to be typical
# Where a pass measures when a resource is used up first, as multiples of that rate: its use is a
# line, best known from both sides.
AROUND = (0.85, 1.0, 1.15)
BEYOND = 1.02  # times the capacity: above it every queue runs away, and a trial says only that
ENOUGH = 2  # passes, before the interval may end the search
ENOUGH_NOISY = 6  # where other work comes and goes: two are over before it has
# The slope that places are computed from: that of a usual knee before any fit, and kept from flat
# or upright fits that would spread the places too far or not at all.
USUAL_SLOPE, FLATTEST, STEEPEST = 10.0, 3.0, 100.0


def passes(state: SearchState, guess: PerSecond) -> SearchStage[None]:
    """Run passes until the interval is as narrow as the goal asks, around what breaks first: a
    criterion of requests, or CPU and memory.

    Raises OutOfBudget when that ends it, and ServiceChanged.
    """
    while True:
        yield from reference_if_due(state)
        leader = first_to_break(fits_of(state))
        guess = leader.knee if leader is not None else guess
        criterion = leader.criterion if leader else state.goal.criteria[0]
        half_width = leader.half_width if leader is not None else math.inf
        rates = _places(state, criterion, leader, guess)
        used_up = first_used_up(state.goal.resources, state.current, guess)
        if used_up is not None:
            half_width = (used_up.high - used_up.low) / (2 * used_up.value)
            rates = [around * used_up.value for around in AROUND]
        enough = ENOUGH_NOISY if state.noisy else ENOUGH
        if state.passes >= enough and half_width <= state.goal.precision:
            return
        state.passes += 1
        yield from _one_pass(state, criterion.share, rates, _dwell(state, guess))


def fits_of(state: SearchState) -> dict[str, KneeFit]:
    """The fit of each criterion that anything exceeded; one that nothing did cannot be where the
    service breaks first.
    """
    exceeded = (
        criterion
        for criterion in state.goal.criteria
        if any(point.exceed for point in points(state.current, criterion))
    )
    fits = {c.name: fit_trials(state.current, c, state.part) for c in exceeded}
    return {name: fit for name, fit in fits.items() if fit is not None}


def first_to_break(fits: dict[str, KneeFit]) -> KneeFit | None:
    """The fit with the lowest knee: passes are placed around it."""
    return min(fits.values(), key=lambda fit: fit.knee, default=None)


def _dwell(state: SearchState, rate: PerSecond) -> Seconds:
    """Seconds per trial: enough requests, but so that whole passes fill what is left of the budget,
    two if they fit.
    """
    dwell = max(DWELL, REQUESTS / rate, LIMITS * state.limit)
    # Of one trial of a pass that has it all.
    room = (state.left - state.reserve - DRAIN) / len(MULTIPLES)
    shortest = max(SHORTEST, SHORTEST_LIMITS * state.limit)
    if (of_two := room / 2 - SETTLE) >= shortest:
        return float(math.floor(min(of_two, dwell)))
    if (of_one := room - SETTLE) >= 0:
        return float(math.floor(max(shortest, min(of_one, STRETCH * dwell))))
    return shortest


def _places(
    state: SearchState, criterion: Criterion, leader: KneeFit | None, knee: PerSecond
) -> list[PerSecond]:
    """Ascending rates at which the share over the limit should be the chosen multiples of what is
    allowed.
    """
    slope = max(FLATTEST, min(STEEPEST, leader.sharpness if leader else USUAL_SLOPE))
    rates = [
        knee * (1 + _log_multiple(criterion.share, times) / slope) for times in _multiples(state)
    ]
    capacity = observed_capacity(state.current)
    most = min(state.goal.max_rate, BEYOND * capacity if capacity else math.inf)
    return sorted({min(most, rate) for rate in rates})


def _multiples(state: SearchState) -> tuple[float, ...]:
    return CAREFUL if state.quiet else MULTIPLES


def _log_multiple(share: Share, times: float) -> float:
    return min(math.log(times), math.log(MOST_LATE / share))


def _one_pass(
    state: SearchState, share: Share, rates: list[PerSecond], seconds: Seconds
) -> SearchStage[None]:
    # There are fewer rates when the ceiling made some of them equal.
    for rate, times in zip(rates, _multiples(state), strict=False):
        late = min(MOST_TYPICAL, times * share)
        trial = yield from state.measure(Phase.PASS, rate, seconds + SETTLE, SETTLE, late=late)
        if hot(trial) or state.stumbled:
            break
    yield from state.rest()
