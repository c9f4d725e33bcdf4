"""The knee search, driven by queues whose knee theory knows."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from statistics import fmean

import pytest

from perfhunt.analysis.knee.answers.answer import reached
from perfhunt.analysis.knee.curve.fit import fit_trials
from perfhunt.analysis.knee.goal import Goal, SearchResult, StepOrDrain, TrialOrDrained
from perfhunt.analysis.knee.search import drive, replay, resume, search
from perfhunt.analysis.knee.state import SearchState
from perfhunt.model.knee import KneeLabel, NoKnee
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Count, Drain, Drained, Phase, Step, Trial
from perfhunt.testing import QueueEngine, Service, constant, lognormal
from tests.simulation.queues import (
    GOAL,
    MEAN,
    MM1,
    MM1_KNEE,
    P99,
    answering,
    begin,
    climb_of,
    knee_of,
    no_knee_of,
)


@pytest.fixture(scope="module")
def climbs() -> list[SearchResult]:
    """The same search of the same queue with twelve seeds."""
    return [climb_of(replace(GOAL, seed=seed)) for seed in range(12)]


def test_the_interval_holds_the_knee_that_theory_gives(climbs: list[SearchResult]) -> None:
    knees = [knee_of(climb) for climb in climbs]
    assert sum(knee.low <= MM1_KNEE <= knee.high for knee in knees) >= 11
    assert fmean(abs(knee.rate / MM1_KNEE - 1) for knee in knees) < 0.05


def test_sharpness_is_near_the_slope_of_the_exponential_tail(climbs: list[SearchResult]) -> None:
    slopes = [knee_of(climb).sharpness or 0.0 for climb in climbs]
    assert fmean(slopes) == pytest.approx(0.1 * MM1_KNEE, rel=0.15)


def test_capacity_is_the_service_rate(climbs: list[SearchResult]) -> None:
    capacity = climbs[2].capacity
    assert capacity is not None
    assert capacity.low <= 1 / MEAN <= capacity.high or capacity.rate == pytest.approx(
        1 / MEAN, rel=0.08
    )


def test_replaying_stored_trials_finds_the_same_climb(climbs: list[SearchResult]) -> None:
    _, goal, baseline = begin()
    assert replay(search(goal, baseline), climbs[1].trials, climbs[1].drains) == climbs[1]


def test_replay_refuses_trials_of_another_question(climbs: list[SearchResult]) -> None:
    _, goal, baseline = begin()
    live = climbs[1]
    with pytest.raises(ValueError, match="asks for"):
        replay(search(replace(goal, seed=2), baseline), live.trials, live.drains)
    with pytest.raises(ValueError, match="no trial is left"):
        replay(search(goal, baseline), live.trials[:3], live.drains)
    with pytest.raises(ValueError, match="left over"):
        replay(search(goal, baseline), (*live.trials, live.trials[-1]), live.drains)


@pytest.mark.parametrize("kept", [0, 3, 9])
def test_a_resumed_search_ends_as_the_whole_one(kept: int) -> None:
    engine, goal, baseline = begin()
    outcomes: list[TrialOrDrained] = []

    def live(ask: StepOrDrain) -> TrialOrDrained:
        outcomes.append(answering(engine)(ask))
        return outcomes[-1]

    whole = drive(search(goal, baseline), live)
    first, rest = outcomes[:kept], iter(outcomes[kept:])
    trials = [outcome for outcome in first if isinstance(outcome, Trial)]
    drains = [outcome for outcome in first if isinstance(outcome, Drained)]
    assert resume(search(goal, baseline), trials, drains, lambda ask: next(rest)) == whole


def test_a_quick_search_keeps_to_a_minute_and_says_bracket() -> None:
    climb = climb_of(replace(GOAL, quick=True))
    knee = knee_of(climb)
    assert knee.label == "bracket"
    assert knee.low < MM1_KNEE < knee.high
    assert sum(t.seconds for t in climb.trials) + sum(d.seconds for d in climb.drains) <= 60 + 15


def test_a_service_that_holds_the_ceiling_has_no_knee_below_it() -> None:
    knee = no_knee_of(climb_of(replace(GOAL, max_rate=60.0)))
    assert (knee.code, knee.low) == ("below-max-rate", 60.0)


def test_a_baseline_that_misses_already_is_refused_before_any_load() -> None:
    climb = climb_of(Goal((Criterion("latency.p99", 0.004, 0.01),)))
    assert no_knee_of(climb).code == "missed-at-baseline"
    assert not climb.trials


def test_a_service_that_fails_at_once_is_refused_before_any_load() -> None:
    climb = climb_of(service=replace(MM1, fails=0.5))
    assert no_knee_of(climb).code == "errors-at-once"
    assert not climb.trials


def test_a_limiter_is_an_error_knee_and_is_named() -> None:
    goal = Goal((Criterion("latency.p99", 0.25, 0.01),))
    knee = knee_of(climb_of(goal, Service(lognormal(0.012, 1), 4, refuse_above=120.0)))
    assert knee.label == "errors"
    assert "429" in knee.note
    assert "limiter" in knee.note
    assert knee.rate == pytest.approx(121, rel=0.1)


def test_a_heavy_service_tail_makes_a_soft_knee_whose_narrowing_nobody_would_wait_for() -> None:
    goal = Goal((Criterion("latency.p99", 0.15, 0.01),))
    knee = knee_of(climb_of(goal, Service(lognormal(0.006, 2))))
    assert knee.label == "soft"
    assert "±5 %" not in knee.note


def test_what_a_narrower_interval_takes_is_said_in_minutes(climbs: list[SearchResult]) -> None:
    note = knee_of(climbs[0]).note
    minutes = re.search(r"for an interval of ±5 % allow about (\d+) minutes of load", note)
    assert minutes, note
    assert 1 < int(minutes[1]) <= 60
    assert "phi" not in note


def test_the_knee_is_where_the_first_criterion_breaks() -> None:
    criteria = (
        Criterion("latency.p50", 0.1, 0.5),
        P99,
        Criterion("errors.any", float("inf"), 0.001),
    )
    climb = climb_of(Goal(criteria))
    assert knee_of(climb).criterion == "latency.p99"
    assert climb.knees[1] == climb.knee
    assert isinstance(climb.knees[2], NoKnee)
    assert climb.knees[2].code == "not-reached"


def spoiling(
    engine: QueueEngine, spoils: Callable[[Step], bool]
) -> Callable[[StepOrDrain], TrialOrDrained]:
    """Answers of the engine; trials of the steps that are to be spoiled are invalid, and absurd."""

    def answer(ask: StepOrDrain) -> TrialOrDrained:
        if isinstance(ask, Drain):
            return engine.drain(ask)
        trial = engine.run(ask)
        if not spoils(ask):
            return trial
        return replace(trial, invalid="sends were late", counts={"latency.p99": Count(1000, 1000)})

    return answer


def test_invalid_trials_are_asked_again_and_never_fitted() -> None:
    spoiled: list[Step] = []

    def first_two_passes(step: Step) -> bool:
        if step.phase is Phase.PASS and len(spoiled) < 2:
            spoiled.append(step)
            return True
        return False

    held = 0
    for seed in (1, 2, 3):
        spoiled.clear()
        engine, goal, baseline = begin(replace(GOAL, seed=seed))
        knee = knee_of(drive(search(goal, baseline), spoiling(engine, first_two_passes)))
        assert len(spoiled) == 2
        held += knee.low <= MM1_KNEE <= knee.high
    assert held >= 2


def test_a_generator_that_cannot_keep_up_is_said_to_be_the_limit() -> None:
    engine, goal, baseline = begin()
    weak = spoiling(engine, lambda step: step.rate > 70)
    knee = no_knee_of(drive(search(goal, baseline), weak))
    assert knee.code == "generator-limited"
    assert knee.low is not None
    assert knee.low <= 70


def test_a_target_that_does_not_come_back_is_lost() -> None:
    engine, goal, baseline = begin()
    climb = drive(
        search(goal, baseline),
        lambda ask: Drained(60.0, False) if isinstance(ask, Drain) else engine.run(ask),
    )
    assert no_knee_of(climb).code == "target-lost"


@pytest.mark.parametrize(
    ("service", "limit", "start", "most"),
    [
        (Service(lognormal(0.4, 1), 2), 4.0, 0.5, 5.0),
        (Service(constant(0.00005)), 0.001, 100.0, 20_000.0),
    ],
    ids=["slow", "fast"],
)
def test_slow_and_fast_services_have_their_knee_below_their_capacity(
    service: Service, limit: float, start: float, most: float
) -> None:
    criteria = (Criterion("latency.p99", limit, 0.01),)
    goal = Goal(criteria, start=start, max_rate=50_000.0, budget=240.0)
    assert 0.4 * most < knee_of(climb_of(goal, service)).rate < 1.02 * most


@pytest.mark.parametrize(
    ("share", "limit"), [(0.5, 0.02), (0.25, 0.03), (0.1, 0.05)], ids=["p50", "p75", "p90"]
)
def test_a_knee_of_the_middle_of_the_distribution_is_no_further_off_than_one_of_its_tail(
    share: float, limit: float
) -> None:
    truth = 1 / MEAN + math.log(share) / limit
    criteria = (Criterion("latency.p", limit, share),)
    knees = [knee_of(climb_of(Goal(criteria, seed=seed))) for seed in range(16)]
    assert abs(fmean(math.log(knee.rate / truth) for knee in knees)) < 0.06
    assert sum(knee.low <= truth <= knee.high for knee in knees) >= 13


@pytest.mark.parametrize("seed", [2, 6, 11])  # the fit alone reaches beyond, with these
def test_no_interval_reaches_beyond_what_the_service_can_complete(seed: int) -> None:
    goal = Goal((Criterion("latency.p99", 0.2, 0.01),), seed=seed, budget=85.0)
    climb = climb_of(goal, Service(lognormal(0.07, 0.3), 12))
    assert climb.capacity is not None
    assert knee_of(climb).high <= climb.capacity.high


@pytest.mark.parametrize("seed", range(4))
def test_no_knee_of_any_criterion_lies_beyond_the_capacity(seed: int) -> None:
    criteria = (
        Criterion("latency.p50", 0.1, 0.5),
        P99,
        Criterion("latency.p75", 0.2, 0.25),
        Criterion("errors.any", math.inf, 0.001),
    )
    climb = climb_of(Goal(criteria, seed=seed, budget=120.0))
    assert climb.capacity is not None
    for knee in climb.knees:
        if isinstance(knee, NoKnee):
            assert knee.code == "not-reached"
            continue
        assert knee.low <= knee.rate <= max(climb.capacity.rate, 0.99 * climb.capacity.high)
        assert knee.rate <= knee.high <= climb.capacity.high


def test_a_criterion_that_would_hold_beyond_the_capacity_is_not_reached_and_says_so() -> None:
    climb = climb_of(Goal((P99, Criterion("latency.p50", 0.1, 0.5))))
    _, goal, baseline = begin(Goal((P99, Criterion("latency.p50", 0.1, 0.5))))
    state = SearchState(goal, baseline, list(climb.trials), list(climb.drains))
    fit = fit_trials(state.trials, goal.criteria[1])
    assert fit is not None
    knee = reached(state, replace(fit, knee=197.0, low=180.0, high=260.0))
    assert isinstance(knee, NoKnee)
    assert knee.code == "not-reached"
    assert "the most that the service was seen to complete" in knee.reason


HEAVY_TAIL, HEAVY_LIMIT, HEAVY_KNEE = Service(lognormal(0.006, 2)), 0.15, 66.8  # S2 of the bench


@pytest.mark.parametrize(("budget", "quick"), [(85.0, False), (600.0, True)], ids=["85 s", "quick"])
def test_a_short_look_at_a_heavy_tail_is_a_bracket_that_holds_the_knee(
    budget: float, quick: bool
) -> None:
    goal = Goal((Criterion("latency.p99", HEAVY_LIMIT, 0.01),), budget=budget, quick=quick)
    knees = [knee_of(climb_of(replace(goal, seed=seed), HEAVY_TAIL)) for seed in range(1, 25)]
    assert sum(knee.low <= HEAVY_KNEE <= knee.high for knee in knees) >= 22
    assert [knee.label for knee in knees].count(KneeLabel.BRACKET) >= 22


def test_one_burst_in_a_short_trial_does_not_end_the_ramp() -> None:
    """With this seed ten requests wait for a long one at 20/s, and none does at 40/s."""
    goal = Goal((Criterion("latency.p99", HEAVY_LIMIT, 0.01),), seed=14, quick=True)
    climb = climb_of(goal, HEAVY_TAIL)
    at_20 = [trial for trial in climb.trials if trial.step.rate == 20.0]
    assert at_20[0].counts["latency.p99"].share > 0.1
    assert at_20[1].counts["latency.p99"].exceed == 0
    assert knee_of(climb).low > 20.0
