"""Services that change as they run: one that gets worse has no knee but a fall, one that warms up
is searched again, and one that stands still is left in peace.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from perfhunt.analysis.knee.goal import Goal, SearchResult
from perfhunt.analysis.knee.search import replay, search
from perfhunt.model.knee import DriftKind, KneeLabel, NoKneeCode
from perfhunt.model.trial import Phase
from perfhunt.testing import Service, exponential
from tests.simulation.queues import (
    GOAL,
    MEAN,
    MM1,
    MM1_KNEE,
    P99,
    begin,
    climb_of,
    knee_of,
    no_knee_of,
)

LEAK = 0.05  # of the fresh service time, per thousand requests
LEAKY = Service(exponential(MEAN), leak=LEAK)
WARMING = Service(exponential(MEAN), warmup=1.0, warmup_tau=20.0)
SEEDS = 10


def knee_at(requests: float) -> float:
    """The knee of the leaking queue after so many requests."""
    return 1 / (MEAN * (1 + LEAK * requests / 1000)) - 4.605 / P99.limit


@pytest.fixture(scope="module")
def leaks() -> list[SearchResult]:
    return [climb_of(replace(GOAL, seed=seed), LEAKY) for seed in range(1, SEEDS + 1)]


def test_a_service_that_gets_worse_has_no_knee(leaks: list[SearchResult]) -> None:
    for climb in leaks:
        assert no_knee_of(climb).code is NoKneeCode.NEVER_STATIONARY
        assert climb.drift is not None and climb.drift.kind is DriftKind.SLOWER


def test_it_says_what_it_held_fresh_what_it_holds_now_and_how_fast_that_falls(
    leaks: list[SearchResult],
) -> None:
    covered = 0
    for climb in leaks:
        reason = no_knee_of(climb).reason
        said = re.search(
            r"held about ([\d.]+)/s when the run began \(([\d.]+)/s to ([\d.]+)/s\) and ([\d.]+)/s"
            r" \(([\d.]+)/s to ([\d.]+)/s\) after ([\d,]+) requests: ([\d.]+) %",
            reason,
        )
        assert said, reason
        numbers = [float(word.replace(",", "")) for word in said.groups()]
        _, low, high, now, now_low, now_high, requests, fall = numbers
        covered += low <= MM1_KNEE <= high and now_low <= knee_at(requests) <= now_high
        assert 0 < fall < 15
        assert now == pytest.approx(knee_at(requests), rel=0.35)
    assert covered >= SEEDS - 2


def test_a_service_that_warms_up_is_searched_again() -> None:
    knees = [knee_of(climb_of(replace(GOAL, seed=seed), WARMING)) for seed in range(1, SEEDS + 1)]
    assert sum(knee.low <= MM1_KNEE <= knee.high for knee in knees) >= SEEDS - 1


def test_a_service_that_stands_still_is_called_so() -> None:
    climbs = [climb_of(replace(GOAL, seed=seed), MM1) for seed in range(1, 13)]
    assert [climb.drift.kind for climb in climbs if climb.drift] == [DriftKind.STEADY] * 12


def test_looking_costs_a_small_part_of_the_budget() -> None:
    for budget in (85.0, 150.0, 600.0):
        climb = climb_of(replace(GOAL, budget=budget), MM1)
        asked = [t.seconds for t in climb.trials if t.step.phase is Phase.REFERENCE]
        assert len(asked) >= 2
        assert sum(asked) <= 0.2 * budget


def test_a_minute_is_too_short_to_ask_twice() -> None:
    climb = climb_of(Goal((P99,), quick=True))
    assert climb.drift is None
    assert not [t for t in climb.trials if t.step.phase is Phase.REFERENCE]


def test_a_service_still_warming_at_the_end_has_a_wider_bracket() -> None:
    slow = Service(exponential(MEAN), warmup=2.0, warmup_tau=100.0)
    climbs = [climb_of(replace(GOAL, budget=200.0, seed=seed), slow) for seed in range(1, 9)]
    quicker = [c for c in climbs if c.drift is not None and c.drift.kind is DriftKind.QUICKER]
    assert len(quicker) >= 4
    for climb in quicker:
        knee = knee_of(climb)
        assert knee.label is KneeLabel.BRACKET
        assert "still getting quicker" in knee.note


def test_a_changed_service_is_replayed_as_it_was_searched(leaks: list[SearchResult]) -> None:
    climb = leaks[0]
    _, goal, baseline = begin(replace(GOAL, seed=1), LEAKY)
    assert replay(search(goal, baseline), climb.trials, climb.drains) == climb
