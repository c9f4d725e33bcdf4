"""CPU and memory objectives steer the search: passes lie where the first of them is used up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from perfhunt.analysis.knee.goal import Goal, SearchResult, StepOrDrain, TrialOrDrained
from perfhunt.analysis.knee.resource_limits import with_resources
from perfhunt.analysis.knee.search import drive, replay, search
from perfhunt.model.slo import Measure, Objective
from perfhunt.model.trial import Phase, Resources, Trial
from perfhunt.testing import QueueEngine
from tests.simulation.queues import MM1_KNEE, P99, answering, begin, knee_of

IDLE, PER_REQUEST, NOISE = 0.02, 0.006, 0.005  # share of the CPU: at rest, for 1/s, and its scatter
ALLOWED = 0.35
USED_UP = (ALLOWED - IDLE) / PER_REQUEST  # 55/s, less than half of where the p99 breaks
CPU = Objective(Measure.RESOURCES, "cpu", "<", ALLOWED)
GOAL = Goal((P99,), resources=(CPU,))


def climb_of(goal: Goal) -> tuple[SearchResult, Trial]:
    engine, goal, baseline = begin(goal)
    random = np.random.default_rng(goal.seed)

    def ask(wanted: StepOrDrain) -> TrialOrDrained:
        outcome = answering(engine)(wanted)
        if not isinstance(outcome, Trial):
            return outcome
        share = IDLE + PER_REQUEST * outcome.completed + NOISE * random.standard_normal()
        return replace(outcome, resources=Resources(outcome.seconds, cpu_share=float(share)))

    assert isinstance(engine, QueueEngine)
    return drive(search(goal, baseline), ask), baseline


@pytest.mark.parametrize("seed", range(1, 4))
def test_passes_lie_around_the_rate_at_which_the_cpu_is_used_up(seed: int) -> None:
    climb, _ = climb_of(replace(GOAL, seed=seed))
    passes = [trial.step.rate for trial in climb.trials if trial.step.phase is Phase.PASS]
    assert len(passes) >= 6
    assert all(0.75 * USED_UP < rate < 1.3 * USED_UP for rate in passes)
    knee = knee_of(with_resources(climb, (CPU,), climb.trials))
    assert knee.criterion == "resources.cpu"
    assert knee.low <= USED_UP <= knee.high
    assert knee.high - knee.low < 0.1 * knee.rate


def test_a_cpu_that_is_used_up_later_leaves_the_passes_where_they_were() -> None:
    loose = replace(CPU, limit=0.95)
    climb, _ = climb_of(replace(GOAL, resources=(loose,)))
    knee = knee_of(with_resources(climb, (loose,), climb.trials))
    assert knee.criterion == "latency.p99"
    assert knee.low <= MM1_KNEE <= knee.high


def test_a_search_that_the_cpu_steered_is_replayed_from_its_trials() -> None:
    climb, baseline = climb_of(GOAL)
    assert replay(search(GOAL, baseline), climb.trials, climb.drains) == climb
