"""Which route makes the time in the service, against sums done by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.model.run import Run
from perfhunt.model.trial import Phase, RouteResult, Trial
from perfhunt.reports.requests.route_time import route_time, route_time_words
from perfhunt.reports.terminal import terminal
from tests.sample_run import sample_run
from tests.unit.trials import HELD, QUICK


def route(n: int, mean: float) -> RouteResult:
    latency = replace(QUICK, n=n, mean=mean)
    return RouteResult(latency, latency, {200: n}, {"ok": n})


def trial(rate: float, *, phase: Phase = Phase.QUIET, **routes: RouteResult) -> Trial:
    return replace(HELD, step=replace(HELD.step, rate=rate, phase=phase), routes=routes)


def run(baseline: Trial, *trials: Trial) -> Run:
    return replace(sample_run(), baseline=baseline, trials=(baseline, *trials))


def test_a_route_that_is_asked_seldom_and_takes_long_is_named() -> None:
    # 40 requests of 288 ms against 320 of 1.2 ms: 11.52 s of 11.904 s.
    base = trial(5.0, report=route(40, 0.288), item=route(320, 0.0012))
    words = (
        "report makes 96.8 % of the time in the service (11.1 % of the requests, n=40, up to 5/s)"
    )
    assert route_time_words(run(base)) == words
    assert words in terminal(run(base))


def test_too_few_requests_at_one_load_are_told_with_those_at_the_next() -> None:
    base = trial(5.0, report=route(15, 0.288), item=route(120, 0.0012))
    held = trial(20.0, report=route(60, 0.3), item=route(500, 0.002))
    noisy = replace(trial(6.0, report=route(60, 9.0), item=route(9, 9.0)), invalid="set aside: x")
    found = route_time(run(base, held, noisy))
    assert found is not None
    assert (found.route, found.n, found.rate) == ("report", 75, 20.0)
    # 22.32 s of 23.464 s.
    assert found.time == pytest.approx(22.32 / 23.464)


def test_nothing_is_said_where_no_route_makes_most_of_it_by_what_it_costs() -> None:
    one = trial(5.0, report=route(40, 0.288))
    even = trial(5.0, a=route(40, 0.1), b=route(40, 0.09))
    many = trial(5.0, a=route(400, 0.1), b=route(40, 0.09))  # most of the requests, no dearer ones
    few = trial(5.0, report=route(4, 0.288), item=route(9, 0.0012))
    assert [route_time(run(t)) for t in (one, even, many, few)] == [None] * 4
