"""Each route's own knee, from trials of the whole traffic."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from perfhunt.analysis.knee.goal import Goal, SearchResult
from perfhunt.model.knee import RouteKnee
from perfhunt.model.slo import Criterion
from perfhunt.testing import Lane, Service, constant, exponential, lognormal
from tests.simulation.queues import GOAL as ONE_ROUTE
from tests.simulation.queues import climb_of

LIMIT, ALLOWED = 0.4, 0.01
SHARE, MEAN = 0.1, 0.05
GOAL = Goal((Criterion("latency.p99", LIMIT, ALLOWED),))
# The lane is an M/M/1 queue: exp(-(1 / MEAN - SHARE · K) · LIMIT) = ALLOWED.
LANE_KNEE = (1 / MEAN + math.log(ALLOWED) / LIMIT) / SHARE
SEEDS = 6


def of_lane(lane: Lane, seed: int = 1, budget: float = 600.0) -> SearchResult:
    service = Service(lognormal(0.004, 1), 4, lane=lane)
    return climb_of(replace(GOAL, seed=seed, budget=budget), service)


def named(climb: SearchResult, name: str) -> RouteKnee:
    return next(route for route in climb.route_knees if route.route == name)


@pytest.fixture(scope="module")
def climbs() -> list[SearchResult]:
    """The search of a service with a slow route, with several seeds."""
    return [of_lane(Lane(SHARE, exponential(MEAN)), seed) for seed in range(1, SEEDS + 1)]


def test_a_slow_route_breaks_where_its_own_queue_says(climbs: list[SearchResult]) -> None:
    lanes = [named(climb, "lane") for climb in climbs]
    given = [r for r in lanes if r.rate is not None and r.low is not None and r.high is not None]
    assert len(given) >= SEEDS - 2
    for route in given:
        assert route.low is not None
        assert route.high is not None
        assert route.low <= LANE_KNEE <= route.high
    for route in lanes:
        assert route.share == pytest.approx(SHARE, rel=0.1)
        assert route.n > 1000


def test_the_other_route_held_up_to_the_highest_rate_tried(climbs: list[SearchResult]) -> None:
    for climb in climbs:
        rest = named(climb, "rest")
        assert rest.rate is None
        assert "held up to the highest rate tried" in rest.note
        assert climb.route_knees[0].route == "lane"


def test_a_route_that_is_too_slow_at_any_rate_is_given_no_knee() -> None:
    """P(response > limit) of the lane is 1.8 % with nobody waiting."""
    for seed in range(1, 5):
        lane = named(of_lane(Lane(SHARE, exponential(0.1)), seed), "lane")
        assert lane.rate is None
        assert "breaks below" in lane.note


def test_a_route_of_few_requests_is_said_to_have_too_few() -> None:
    lane = named(of_lane(Lane(0.0005, constant(0.01)), budget=85.0), "lane")
    assert lane.rate is None
    assert lane.note == f"{lane.n} requests of it are too few to tell"


def test_a_single_route_has_no_knee_of_its_own() -> None:
    assert climb_of(replace(ONE_ROUTE, budget=60.0)).route_knees == ()
