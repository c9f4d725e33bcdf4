"""Services for which the start rate is too much already: the lowest realistic load is found."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest

from perfhunt.analysis.knee.answers.cost import takes_long
from perfhunt.analysis.knee.goal import Goal, SearchResult, StepOrDrain, TrialOrDrained
from perfhunt.analysis.knee.observed import baselines_before, lowest_baseline
from perfhunt.analysis.knee.search import drive, replay, search
from perfhunt.analysis.knee.stages.descent import Descent, descend
from perfhunt.model.knee import Knee
from perfhunt.model.question import ArrivalLaw
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Drained, Phase, Step, Trial
from perfhunt.testing import QueueEngine, Service, constant, exponential, lognormal
from tests.simulation.queues import answering, knee_of, no_knee_of

START = 10.0


class Found(NamedTuple):
    """A descent and the search from its floor, with everything that answered them, in order."""

    descent: Descent
    climb: SearchResult
    outcomes: list[TrialOrDrained]
    goal: Goal


def found(
    service: Service, limit: float, seed: int = 1, share: float = 0.01, budget: float = 600.0
) -> Found:
    goal = Goal((Criterion("latency.p", limit, share),), start=START, seed=seed, budget=budget)
    engine = QueueEngine(service, goal.criteria, seed)
    outcomes: list[TrialOrDrained] = []

    def ask(wanted: StepOrDrain) -> TrialOrDrained:
        outcomes.append(answering(engine)(wanted))
        return outcomes[-1]

    descent = drive(descend(goal, Step(Phase.BASELINE, START, 15.0, seed, 1.0)), ask)
    climb = drive(search(goal, descent.floor, descent.before), ask)
    return Found(descent, climb, outcomes, goal)


# True knees by `truth` of scripts/knee_scenarios.py, 4 hours of simulated load at each of 5 rates.
@pytest.mark.parametrize(
    ("service", "limit", "knee"),
    [
        (Service(lognormal(0.4, 1), 2), 4.0, 3.73),
        (Service(lognormal(2.4, 1), 2), 24.0, 0.621),
        (Service(lognormal(0.3, 0.1)), 1.5, 1.82),
    ],
    ids=["3.7/s", "0.6/s", "1.8/s"],
)
def test_a_knee_below_the_start_rate_is_found_and_lies_in_its_interval(
    service: Service, limit: float, knee: float
) -> None:
    runs = [found(service, limit, seed) for seed in range(1, 5)]
    knees = [knee_of(run.climb) for run in runs]
    assert sum(k.low <= knee <= k.high for k in knees) >= 3
    for run, answer in zip(runs, knees, strict=True):
        assert run.descent.floor.step.rate < knee
        assert not run.descent.floor.overload
        assert 0.3 * knee < answer.rate < 1.8 * knee


def test_a_service_that_holds_its_start_rate_is_asked_nothing_below_it() -> None:
    descent = found(Service(exponential(0.006)), 0.1).descent
    assert [trial.step.rate for trial in descent.trials] == [START]
    assert not descent.drains


def test_a_request_that_is_too_slow_alone_is_said_with_what_it_takes() -> None:
    run = found(Service(constant(4.0)), 2.0)
    knee = no_knee_of(run.climb)
    assert knee.code == "missed-at-baseline"
    assert "one request alone takes 4 s (median of" in knee.reason
    assert "the limit is 2 s" in knee.reason
    assert not run.climb.trials


def test_requests_are_sent_one_by_one_where_even_the_lowest_rate_is_too_much() -> None:
    run = found(Service(constant(8.0)), 10.0)
    assert run.descent.floor.step.arrivals == ArrivalLaw.UNIFORM
    assert run.descent.floor.response.max == pytest.approx(8.0)
    knee = no_knee_of(run.climb)
    assert knee.code == "missed-at-baseline"
    assert "does not hold 0.1/s, the lowest rate tried" in knee.reason
    assert "one request alone takes 8 s" in knee.reason


def test_errors_at_once_are_errors_only_where_fewer_requests_fail_as_well() -> None:
    failing = found(Service(exponential(0.006), fails=0.5), 0.1)
    assert no_knee_of(failing.climb).code == "errors-at-once"
    assert failing.descent.floor.step.rate < START
    limited = found(Service(exponential(0.006), refuse_above=4.0), 0.1)
    knee = knee_of(limited.climb)
    assert knee.label == "errors"
    assert knee.low < 4.0 * 1.1 < 2 * knee.high


def test_a_report_with_a_long_limit_is_not_buried_under_the_start_rate() -> None:
    """Ten a second for fifteen seconds would be ten minutes of work for it."""
    run = found(Service(constant(4.0)), 10.0)
    assert max(trial.step.rate for trial in run.descent.trials) <= 2.0
    assert sum(drain.seconds for drain in run.descent.drains) < 150


def test_the_queue_is_drained_between_two_rates() -> None:
    run = found(Service(lognormal(2.4, 1), 2), 24.0)
    until = run.outcomes.index(run.descent.floor)
    for before, after in zip(run.outcomes, run.outcomes[1 : until + 1], strict=False):
        if isinstance(before, Trial) and before in run.descent.before:
            assert isinstance(after, Drained)


def test_every_trial_on_the_way_down_holds_ten_requests_or_was_called_off() -> None:
    run = found(Service(constant(4.0)), 10.0)
    for trial in run.descent.trials:
        assert trial.overload or trial.step.rate * trial.step.duration >= 10


def test_a_stored_run_of_a_slow_service_replays_to_the_same_climb() -> None:
    run = found(Service(lognormal(0.4, 1), 2), 4.0)
    stored = [outcome for outcome in run.outcomes if isinstance(outcome, Trial)]
    floor = lowest_baseline(stored)
    assert floor == run.descent.floor
    before = baselines_before(stored, run.descent.floor)
    assert before == run.descent.before
    again = replay(search(run.goal, run.descent.floor, before), run.climb.trials, run.climb.drains)
    assert again == run.climb


def test_where_the_budget_ends_first_the_bracket_is_what_was_seen_on_the_way_down() -> None:
    run = found(Service(constant(4.0)), 10.0, share=0.5)
    goal = replace(run.goal, budget=1.0)
    climb = drive(search(goal, run.descent.floor, run.descent.before), lambda _: pytest.fail())
    knee = knee_of(climb)
    assert knee.label == "bracket"
    assert (knee.low, knee.high) == (
        run.descent.floor.step.rate,
        run.descent.before[-1].step.rate,
    )


def test_how_long_a_slow_service_takes_is_said_before_it_is_searched() -> None:
    run = found(Service(lognormal(2.4, 1), 2), 24.0)
    assert "minutes" in takes_long(run.goal, run.descent.floor) or "h " in takes_long(
        run.goal, run.descent.floor
    )
    assert isinstance(run.climb.knee, Knee)
    assert not takes_long(run.goal, found(Service(exponential(0.006)), 0.1).descent.floor)


def test_a_budget_that_ends_on_the_way_up_leaves_a_bracket_that_holds_the_knee() -> None:
    """In 85 s the ramp gets to 0.4/s, which holds: that is no upper end."""
    for seed in range(1, 5):
        run = found(Service(lognormal(2.4, 1), 2), 24.0, seed, budget=85.0)
        knee = knee_of(run.climb)
        assert knee.low <= 0.621 <= knee.high
