"""Services of which a part breaks first: the knee is the first crossing, and the rest of the curve
does not hide it.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from statistics import fmean

import pytest

from perfhunt.analysis.knee.answers.answer import fitted
from perfhunt.analysis.knee.curve.fit import fit_trials
from perfhunt.analysis.knee.goal import Goal, SearchResult
from perfhunt.analysis.knee.state import SearchState
from perfhunt.analysis.trial.exceedance import Standing, standing
from perfhunt.model.knee import KneeLabel
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import FITTED_PHASES
from perfhunt.testing import Lane, Service, exponential, lognormal
from tests.simulation.queues import begin, climb_of, knee_of

LIMIT, ALLOWED = 0.25, 0.01
PART, LANE_MEAN = 0.02, 0.08
SLOW_LANE = Service(lognormal(0.0005, 1), 4, lane=Lane(PART, exponential(LANE_MEAN)))
# The lane is an M/M/1 queue: PART · exp(-(mu - PART · K) · LIMIT) = ALLOWED.
LANE_KNEE = (1 / LANE_MEAN - math.log(PART / ALLOWED) / LIMIT) / PART
GOAL = Goal((Criterion("latency.p99", LIMIT, ALLOWED),))
SEEDS = 6


@pytest.fixture(scope="module")
def climbs() -> list[SearchResult]:
    """The search of the service with a slow lane, with several seeds."""
    return [climb_of(replace(GOAL, seed=seed), SLOW_LANE) for seed in range(1, SEEDS + 1)]


def test_the_knee_is_where_the_lane_breaks(climbs: list[SearchResult]) -> None:
    knees = [knee_of(climb) for climb in climbs]
    assert sum(knee.low <= LANE_KNEE <= knee.high for knee in knees) >= SEEDS - 1
    assert fmean(abs(math.log(knee.rate / LANE_KNEE)) for knee in knees) < 0.08


def test_the_answer_says_how_large_the_part_is(climbs: list[SearchResult]) -> None:
    notes = [knee_of(climb).note for climb in climbs]
    sizes = [re.search(r"a part of the traffic breaks first: about ([\d.]+) %", n) for n in notes]
    assert fmean(float(size[1]) / 100 for size in sizes if size) == pytest.approx(PART, rel=0.3)
    assert all(sizes), notes


def test_no_answer_contradicts_two_trials_that_clearly_failed(climbs: list[SearchResult]) -> None:
    (criterion,) = GOAL.criteria
    for climb in climbs:
        knee = knee_of(climb)
        failed = sorted(
            trial.step.rate
            for trial in climb.trials
            if trial.step.phase in FITTED_PHASES and standing(trial, criterion) is Standing.FAILED
        )
        assert len(failed) >= 2
        assert knee.rate <= knee.high <= failed[1]


def test_the_curve_levels_off_at_the_part(climbs: list[SearchResult]) -> None:
    curves = [knee.curve for knee in map(knee_of, climbs) if knee.curve is not None]
    assert len(curves) == SEEDS
    assert fmean(curve.shares[-1] for curve in curves) == pytest.approx(PART, rel=0.25)


def test_a_plateau_below_what_is_allowed_is_no_knee() -> None:
    """Half of the allowance late at any rate: the knee is that of the rest, near its capacity."""
    service = Service(exponential(0.006), lane=Lane(0.005, exponential(0.6)))
    knee = knee_of(climb_of(Goal((Criterion("latency.p99", 0.1, ALLOWED),), seed=3), service))
    rest = 1 / 0.006 - math.log(0.995 / 0.005) / 0.1  # (1 - lane) · exp(-(mu - rate) · limit)
    assert knee.rate == pytest.approx(rest / 0.995, rel=0.12)
    assert "a part of the traffic" not in knee.note


def test_a_short_search_of_a_part_is_a_bracket_that_holds_the_knee() -> None:
    goals = [replace(GOAL, seed=seed, quick=True) for seed in range(1, SEEDS + 1)]
    knees = [knee_of(climb_of(goal, SLOW_LANE)) for goal in goals]
    assert sum(knee.low <= LANE_KNEE <= knee.high for knee in knees) >= SEEDS - 1
    assert {knee.label for knee in knees} <= {KneeLabel.BRACKET, KneeLabel.SOFT}


def test_a_fit_that_two_clear_trials_contradict_is_overruled_and_says_so(
    climbs: list[SearchResult],
) -> None:
    _, goal, baseline = begin(GOAL, SLOW_LANE)
    state = SearchState(goal, baseline, list(climbs[0].trials), list(climbs[0].drains))
    fit = fit_trials(state.trials, goal.criteria[0], parts=True)
    assert fit is not None
    astray = replace(fit, knee=4 * fit.knee, low=3 * fit.knee, high=5 * fit.knee)
    knee = fitted(state, astray)
    failed = sorted(
        trial.step.rate
        for trial in climbs[0].trials
        if standing(trial, goal.criteria[0]) is Standing.FAILED
    )
    assert knee.low <= knee.rate == knee.high == failed[1]
    assert "2 trials clearly show otherwise" in knee.note
    assert knee.curve is None
