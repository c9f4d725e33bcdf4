"""The search beside other work that comes and goes, or never ends, and alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from perfhunt.analysis.knee.goal import Goal, SearchResult, StepOrDrain, TrialOrDrained
from perfhunt.analysis.knee.search import drive, replay, search
from perfhunt.analysis.knee.state import ASIDE
from perfhunt.analysis.trial.interference import disturbance, disturbed
from perfhunt.model.trial import Phase, Step, Trial
from perfhunt.testing import Service, exponential
from tests.simulation.queues import (
    GOAL,
    MEAN,
    MM1_KNEE,
    answering,
    begin,
    climb_of,
    knee_of,
    no_knee_of,
)

# Half as fast while the neighbour is on: then it breaks at 37/s instead of 121/s.
BESIDE = Service(exponential(MEAN), neighbour=2.0)
ALWAYS = replace(BESIDE, on=1e9, off=1e-3)
SEEDS = range(1, 6)


def climbs(service: Service, budget: float = 600.0) -> list[SearchResult]:
    return [climb_of(replace(GOAL, seed=seed, budget=budget), service) for seed in SEEDS]


def test_a_service_alone_has_no_trial_set_aside() -> None:
    (climb,) = climbs(Service(exponential(MEAN)))[:1]
    assert climb.trials and all(t.interference is not None for t in climb.trials)
    assert not any(t.set_aside for t in climb.trials) and disturbance(climb.trials) is None


def test_beside_other_work_that_comes_and_goes_the_knee_is_that_of_the_quiet_service() -> None:
    found = climbs(BESIDE)
    knees = [knee_of(climb) for climb in found]
    assert sum(knee.low <= MM1_KNEE <= knee.high for knee in knees) >= len(knees) - 1
    assert all(knee.rate > 0.8 * MM1_KNEE for knee in knees)
    for climb in found:
        aside = [trial for trial in climb.trials if trial.set_aside]
        assert aside and all(disturbed(trial.interference) for trial in aside)
        assert not any(disturbed(t.interference) for t in climb.trials if not t.invalid)
        spent = sum(trial.seconds for trial in aside)
        assert spent <= ASIDE * GOAL.budget + max(trial.seconds for trial in aside)


def test_whatever_came_of_a_trial_it_is_set_aside() -> None:
    aside = [t for climb in climbs(BESIDE) for t in climb.trials if t.set_aside]
    late = [any(c.share > 0.01 for c in t.counts.values()) or bool(t.overload) for t in aside]
    assert any(late) and not all(late)


def test_a_host_that_is_never_quiet_gives_its_own_knee_and_says_how_busy_it_was() -> None:
    climb = climb_of(GOAL, ALWAYS)
    knee, other = knee_of(climb), disturbance(climb.trials)
    assert knee.low <= 1 / (2 * MEAN) - 4.605 / 0.1 <= knee.high
    assert other is not None and other.set_aside == 0 and other.used == other.trials
    assert other.busy == pytest.approx(0.5, abs=0.01) and other.names == ("neighbour",)


@pytest.mark.parametrize("service", [BESIDE, ALWAYS], ids=["comes and goes", "never ends"])
def test_a_stored_search_beside_other_work_leads_to_the_same_knee(service: Service) -> None:
    engine, goal, baseline = begin(GOAL, service)
    found = drive(search(goal, baseline), answering(engine))
    assert any(disturbed(trial.interference) for trial in found.trials)
    assert replay(search(goal, baseline), found.trials, found.drains) == found


def test_a_generator_that_other_work_stopped_is_not_called_the_limit() -> None:
    engine, goal, baseline = begin(GOAL, ALWAYS)

    def ask(wanted: StepOrDrain) -> TrialOrDrained:
        outcome = answering(engine)(wanted)
        if not isinstance(wanted, Step) or not isinstance(outcome, Trial):
            return outcome
        return replace(outcome, invalid="half of the requests were sent late")

    none = no_knee_of(drive(search(goal, baseline), ask))
    assert none.code == "host-busy" and "neighbour" in none.reason
    quiet = begin(Goal(GOAL.criteria, seed=3))

    def late(wanted: StepOrDrain) -> TrialOrDrained:
        outcome = answering(quiet.engine)(wanted)
        return replace(outcome, invalid="late") if isinstance(outcome, Trial) else outcome

    assert no_knee_of(drive(search(quiet.goal, quiet.baseline), late)).code == "generator-limited"


def test_a_ramp_goes_on_from_a_rate_that_held_in_spite_of_other_work() -> None:
    climb = climb_of(replace(GOAL, seed=1), BESIDE)
    ramped = [trial for trial in climb.trials if trial.step.phase is Phase.RAMP]
    kept = [
        (this, after)
        for this, after in pairwise(ramped)
        if this.set_aside and not this.overload and not any(c.exceed for c in this.counts.values())
    ]
    assert kept and all(after.step.rate > this.step.rate for this, after in kept)
