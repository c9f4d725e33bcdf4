"""What is shown while a search runs never excludes what it answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.knee.goal import Goal
from perfhunt.analysis.knee.observed import bracket
from perfhunt.analysis.knee.search import drive, search
from perfhunt.model.knee import Knee
from perfhunt.model.slo import Criterion
from perfhunt.testing import Lane, Service, constant, exponential, lognormal
from tests.simulation.queues import answering, begin

LATE = "latency.p99"
SEARCHES = [
    pytest.param(Criterion(LATE, 0.1, 0.01), Service(exponential(0.006)), id="one server"),
    pytest.param(Criterion(LATE, 0.15, 0.01), Service(lognormal(0.006, 2)), id="soft"),
    pytest.param(
        Criterion(LATE, 0.25, 0.01),
        Service(lognormal(0.0238, 1), 4, pause=0.05, period=2.0),
        id="pauses",
    ),
    pytest.param(
        Criterion(LATE, 0.25, 0.01),
        Service(lognormal(0.0005, 1), 4, lane=Lane(0.02, constant(0.08))),
        id="slow lane",
    ),
    pytest.param(
        Criterion(LATE, 0.4, 0.01),
        Service(lognormal(0.004, 1), 4, lane=Lane(0.1, exponential(0.1))),
        id="slow route",
    ),
    pytest.param(
        Criterion(LATE, 0.25, 0.01),
        Service(lognormal(0.012, 1), 4, refuse_above=120.0),
        id="limiter",
    ),
]


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(("criterion", "service"), SEARCHES)
def test_the_live_bracket_never_excludes_the_answer(
    criterion: Criterion, service: Service, quick: bool
) -> None:
    shown = 0
    for seed in (1, 2, 3):
        engine, goal, baseline = begin(Goal((criterion,), seed=seed, quick=quick), service)
        climb = drive(search(goal, baseline), answering(engine))
        assert isinstance(climb.knee, Knee)
        for end in range(len(climb.trials) + 1):
            low, high = bracket((baseline, *climb.trials[:end]), goal.criteria)
            assert (low or 0.0) <= climb.knee.rate <= (high or climb.knee.rate)
            shown += (low, high) != (None, None)
    assert shown


def test_the_bracket_closes_from_both_sides() -> None:
    engine, goal, baseline = begin(replace(Goal((Criterion(LATE, 0.1, 0.01),)), seed=2))
    climb = drive(search(goal, baseline), answering(engine))
    assert bracket((baseline,), goal.criteria) == (None, None)
    low, high = bracket((baseline, *climb.trials), goal.criteria)
    assert low is not None
    assert high is not None
    assert 10.0 <= low < high < 200.0
