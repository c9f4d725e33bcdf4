"""The knee search, driven by queues whose knee theory knows."""

import math
from dataclasses import replace
from statistics import fmean

import pytest

from perfhunt.analysis.knee.goal import Goal
from perfhunt.analysis.knee.search import drive, replay, resume, search
from perfhunt.analysis.knee.staircase import staircase, step_verdict
from perfhunt.analysis.knee.warmup import warm_up
from perfhunt.model.knee import Knee, NoKnee
from perfhunt.model.question import DEFAULT_STAIRCASE, Plateau
from perfhunt.model.slo import Criterion, Judgement
from perfhunt.model.trial import Count, Drain, Drained, Phase, Step
from perfhunt.testing import QueueEngine, Service, constant, exponential, lognormal

P99 = Criterion("latency.p99", 0.1, 0.01)
MM1 = Service(exponential(0.006))
MM1_KNEE = 1 / 0.006 - 4.605 / 0.1  # P(response > L) = exp(-(mu - rate) L) = 1 %


def begin(service=MM1, criteria=(P99,), seed=1, **goal):
    engine = QueueEngine(service, criteria, seed)
    wanted = Goal(criteria, seed=seed, **goal)
    baseline = engine.run(Step(Phase.BASELINE, wanted.start, 15.0, seed, 1.0))
    return engine, wanted, baseline


def answering(engine):
    return lambda ask: engine.run(ask) if isinstance(ask, Step) else engine.drain(ask)


def found(service=MM1, criteria=(P99,), seed=1, **goal):
    engine, wanted, baseline = begin(service, criteria, seed, **goal)
    return drive(search(wanted, baseline), answering(engine))


def test_the_interval_holds_the_knee_that_theory_gives():
    knees = [found(seed=seed).knee for seed in range(12)]
    assert all(isinstance(knee, Knee) for knee in knees)
    assert sum(knee.low <= MM1_KNEE <= knee.high for knee in knees) >= 11
    assert sum(abs(knee.rate / MM1_KNEE - 1) for knee in knees) / 12 < 0.05


def test_sharpness_is_near_the_slope_of_the_exponential_tail():
    assert fmean(found(seed=seed).knee.sharpness for seed in range(12)) == pytest.approx(
        0.1 * MM1_KNEE, rel=0.15
    )


def test_capacity_is_the_service_rate():
    capacity = found(seed=2).capacity
    assert capacity.low <= 1 / 0.006 <= capacity.high or capacity.rate == pytest.approx(
        1 / 0.006, rel=0.08
    )


def test_replaying_stored_trials_finds_the_same_climb():
    engine, goal, baseline = begin()
    live = drive(search(goal, baseline), answering(engine))
    assert replay(search(goal, baseline), live.trials, live.drains) == live


def test_replay_refuses_trials_of_another_question():
    engine, goal, baseline = begin()
    live = drive(search(goal, baseline), answering(engine))
    with pytest.raises(ValueError, match="asks for"):
        replay(search(replace(goal, seed=2), baseline), live.trials, live.drains)
    with pytest.raises(ValueError, match="no trial is left"):
        replay(search(goal, baseline), live.trials[:3], live.drains)
    with pytest.raises(ValueError, match="left over"):
        replay(search(goal, baseline), (*live.trials, live.trials[-1]), live.drains)


@pytest.mark.parametrize("kept", [0, 3, 9])
def test_a_resumed_search_ends_as_the_whole_one(kept):
    engine, goal, baseline = begin()
    asked = []

    def live(ask):
        asked.append(answering(engine)(ask))
        return asked[-1]

    whole = drive(search(goal, baseline), live)
    first, rest = asked[:kept], iter(asked[kept:])
    trials = [o for o in first if not isinstance(o, Drained)]
    drains = [o for o in first if isinstance(o, Drained)]
    assert resume(search(goal, baseline), trials, drains, lambda ask: next(rest)) == whole


def test_a_quick_search_keeps_to_a_minute_and_says_bracket():
    climb = found(quick=True)
    assert climb.knee.label == "bracket"
    assert climb.knee.low < MM1_KNEE < climb.knee.high
    assert sum(t.seconds for t in climb.trials) + sum(d.seconds for d in climb.drains) <= 60 + 15


def test_a_service_that_holds_the_ceiling_has_no_knee_below_it():
    knee = found(max_rate=60.0).knee
    assert isinstance(knee, NoKnee)
    assert (knee.code, knee.low) == ("below-max-rate", 60.0)


def test_a_baseline_that_misses_already_is_refused_before_any_load():
    climb = found(criteria=(Criterion("latency.p99", 0.004, 0.01),))
    assert climb.knee.code == "missed-at-baseline"
    assert not climb.trials


def test_a_service_that_fails_at_once_is_refused_before_any_load():
    climb = found(replace(MM1, fails=0.5))
    assert climb.knee.code == "errors-at-once"
    assert not climb.trials


def test_a_limiter_is_an_error_knee_and_is_named():
    knee = found(
        Service(lognormal(0.012, 1), 4, refuse_above=120.0), (Criterion("latency.p99", 0.25, 0.01),)
    ).knee
    assert knee.label == "errors"
    assert "429" in knee.note
    assert "limiter" in knee.note
    assert knee.rate == pytest.approx(121, rel=0.1)


def test_a_heavy_service_tail_makes_a_soft_knee_and_says_what_narrowing_it_costs():
    knee = found(Service(lognormal(0.006, 2)), (Criterion("latency.p99", 0.15, 0.01),)).knee
    assert knee.label == "soft"
    assert "±5 % would take" in knee.note


def test_the_knee_is_where_the_first_criterion_breaks():
    criteria = (
        Criterion("latency.p50", 0.1, 0.5),
        P99,
        Criterion("errors.any", float("inf"), 0.001),
    )
    climb = found(criteria=criteria)
    assert climb.knee.criterion == "latency.p99"
    assert climb.knees[1] == climb.knee
    assert isinstance(climb.knees[2], NoKnee)
    assert climb.knees[2].code == "not-reached"


def test_invalid_trials_are_asked_again_and_never_fitted():
    engine, goal, baseline = begin()
    spoiled = []

    def sometimes(ask):
        outcome = answering(engine)(ask)
        if isinstance(ask, Step) and ask.phase is Phase.PASS and len(spoiled) < 2:
            spoiled.append(ask)
            return replace(
                outcome, invalid="sends were late", counts={"latency.p99": Count(1000, 1000)}
            )
        return outcome

    knee = drive(search(goal, baseline), sometimes).knee
    assert len(spoiled) == 2
    assert knee.low <= MM1_KNEE <= knee.high


def test_a_generator_that_cannot_keep_up_is_said_to_be_the_limit():
    engine, goal, baseline = begin()

    def weak(ask):
        outcome = answering(engine)(ask)
        return (
            replace(outcome, invalid="sends were late")
            if isinstance(ask, Step) and ask.rate > 70
            else outcome
        )

    knee = drive(search(goal, baseline), weak).knee
    assert isinstance(knee, NoKnee)
    assert knee.code == "generator-limited"
    assert knee.low <= 70


def test_a_target_that_does_not_come_back_is_lost():
    engine, goal, baseline = begin()
    knee = drive(
        search(goal, baseline),
        lambda a: Drained(60.0, False) if isinstance(a, Drain) else engine.run(a),
    ).knee
    assert isinstance(knee, NoKnee)
    assert knee.code == "target-lost"


@pytest.mark.parametrize(
    ("service", "limit", "start", "most"),
    [
        (Service(lognormal(0.4, 1), 2), 4.0, 0.5, 5.0),
        (Service(constant(0.00005)), 0.001, 100.0, 20_000.0),
    ],
)
def test_slow_and_fast_services_have_their_knee_below_their_capacity(service, limit, start, most):
    climb = found(
        service,
        (Criterion("latency.p99", limit, 0.01),),
        start=start,
        max_rate=50_000.0,
        budget=240.0,
    )
    assert isinstance(climb.knee, Knee)
    assert 0.4 * most < climb.knee.rate < 1.02 * most


def test_a_staircase_gives_a_verdict_per_step_and_the_gap_between_them():
    engine, goal, baseline = begin()
    climb = drive(staircase(goal, DEFAULT_STAIRCASE, baseline), answering(engine))
    verdicts = [step_verdict(trial, P99) for trial in climb.trials]
    assert verdicts == [Judgement.MET, Judgement.MET, Judgement.MET, Judgement.MISSED]
    assert (climb.knee.low, climb.knee.high, climb.knee.label) == (100, 200, "bracket")


def test_a_staircase_with_close_steps_gives_an_interval():
    engine, goal, baseline = begin()
    plateaus = tuple(Plateau(rate, 60.0) for rate in (100, 110, 120, 130, 140))
    knee = drive(staircase(goal, plateaus, baseline), answering(engine)).knee
    assert knee.sharpness is not None
    assert knee.low <= MM1_KNEE <= knee.high


def test_replaying_a_staircase_finds_the_same_climb():
    engine, goal, baseline = begin()
    live = drive(staircase(goal, DEFAULT_STAIRCASE, baseline), answering(engine))
    assert replay(staircase(goal, DEFAULT_STAIRCASE, baseline), live.trials, live.drains) == live


def warmed(service, cap=120.0):
    engine = QueueEngine(service, (P99,), 1)
    asking = warm_up(Goal((P99,)), 50.0, cap)
    ask = next(asking)
    while True:
        try:
            ask = asking.send(engine.run(ask))
        except StopIteration as end:
            return end.value


def test_a_service_at_rest_is_warm_after_three_blocks():
    warm = warmed(Service(exponential(0.006)))
    assert warm.stationary
    assert warm.seconds <= 60


def test_warming_up_takes_as_long_as_the_service_does():
    slow = warmed(Service(exponential(0.003), warmup=2.0, warmup_tau=15.0))
    assert slow.stationary
    assert slow.seconds >= 40


def test_a_service_that_keeps_getting_slower_is_never_warm():
    warm = warmed(Service(constant(0.003), drift=0.9, drift_period=480.0), cap=60.0)
    assert not warm.stationary
    assert "had not settled" in warm.caution


@pytest.mark.parametrize(
    ("share", "limit"), [(0.5, 0.02), (0.25, 0.03), (0.1, 0.05)], ids=["p50", "p75", "p90"]
)
def test_a_knee_of_the_middle_of_the_distribution_is_no_further_off_than_one_of_its_tail(
    share: float, limit: float
) -> None:
    truth = 1 / 0.006 + math.log(share) / limit
    knees = [
        found(criteria=(Criterion("latency.p", limit, share),), seed=seed).knee for seed in range(8)
    ]
    errors = [math.log(knee.rate / truth) for knee in knees]
    assert abs(fmean(errors)) < 0.06
    assert sum(knee.low <= truth <= knee.high for knee in knees) >= 7


def test_no_interval_reaches_beyond_what_the_service_can_complete():
    pool, late = Service(lognormal(0.07, 0.3), 12), Criterion("latency.p99", 0.2, 0.01)
    climbs = [
        found(pool, (late,), seed=seed, budget=85.0) for seed in (2, 6, 11)
    ]  # the fit alone reaches beyond, here
    assert all(climb.knee.high <= climb.capacity.high for climb in climbs)
