"""A service that stays slower after an overload: the knee is that of the service before it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.analysis.knee.search import replay, search
from perfhunt.analysis.knee.stages.recovery import QUIETS
from perfhunt.testing import Cliff, Service, exponential
from tests.simulation.queues import GOAL, MEAN, MM1, MM1_KNEE, begin, climb_of, knee_of

CLIFF = Service(exponential(MEAN), cliff=Cliff(patience=0.4, factor=2.0, calm=20.0))
SEEDS = 6


@pytest.fixture(scope="module")
def climbs() -> list[SearchResult]:
    return [climb_of(replace(GOAL, seed=seed), CLIFF) for seed in range(1, SEEDS + 1)]


def test_the_knee_is_that_of_the_healthy_service(climbs: list[SearchResult]) -> None:
    knees = [knee_of(climb) for climb in climbs]
    assert sum(knee.low <= MM1_KNEE <= knee.high for knee in knees) >= SEEDS - 1
    assert sum(knee.rate for knee in knees) / SEEDS == pytest.approx(MM1_KNEE, rel=0.06)


def test_the_answer_says_how_much_quiet_it_takes(climbs: list[SearchResult]) -> None:
    assert all("an overload is not forgotten" in knee_of(climb).note for climb in climbs)


def test_a_burst_of_the_slowed_service_is_not_its_capacity(climbs: list[SearchResult]) -> None:
    assert [climb.capacity for climb in climbs] == [None] * SEEDS


def test_a_minute_gives_a_bracket_that_holds_the_healthy_knee() -> None:
    knees = [
        knee_of(climb_of(replace(GOAL, seed=seed, quick=True), CLIFF)) for seed in range(SEEDS)
    ]
    assert sum(knee.low <= MM1_KNEE <= knee.high for knee in knees) >= SEEDS - 1


def test_it_is_replayed_with_the_same_answer(climbs: list[SearchResult]) -> None:
    _, goal, baseline = begin(replace(GOAL, seed=1), CLIFF)
    assert replay(search(goal, baseline), climbs[0].trials, climbs[0].drains).knee == climbs[0].knee


def test_a_service_that_forgets_an_overload_is_given_no_quiet() -> None:
    climbs = [climb_of(replace(GOAL, seed=seed), MM1) for seed in range(1, SEEDS + 1)]
    assert all(drained.seconds < QUIETS[0] for climb in climbs for drained in climb.drains)
    assert not any("not forgotten" in knee_of(climb).note for climb in climbs)
