"""What a person sees while a run goes: lines of trials, where the search is, and the curve."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace

import pytest
from rich.console import Console

from perfhunt.cli.view.curve import CurvePoint, curve_lines, with_trial
from perfhunt.cli.view.lines import between, bracket_text, over_limits, trial_line
from perfhunt.cli.view.live import LiveView
from perfhunt.model.run import Began, Noted, Ticked, Tried
from perfhunt.model.trial import Count, Phase, RouteResult, Step, Trial
from tests.unit.trials import CALM_SECOND, HELD, QUICK


def tried(rate: float, over: int, phase: Phase = Phase.PASS, invalid: str = "") -> Trial:
    step = Step(phase, rate, 10.0, seed=1)
    counts = {"latency.p99": Count(1000, over)}
    return replace(HELD, step=step, counts=counts, invalid=invalid)


def route(over: Mapping[str, int]) -> RouteResult:
    return RouteResult(QUICK, QUICK, {}, {}, over)


def test_a_request_of_a_route_is_over_once_whichever_limits_it_is_over() -> None:
    # Of a: 4 over p95 and 2 of them over p99, and 6 over its own limit, the 4 among them; of b: 3.
    counts = {
        "latency.p95": Count(100, 7),
        "latency.p99": Count(100, 4),
        "latency.p99[a]": Count(60, 6),
    }
    routes = {
        "a": route({"latency.p95": 4, "latency.p99": 2}),
        "b": route({"latency.p95": 3, "latency.p99": 2}),
    }
    trial = replace(HELD, counts=counts, routes=routes)
    assert over_limits(trial) == 6 + 3
    assert trial_line(trial).endswith("9 over")


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (54.0, 57.3, "between 54/s and 57.3/s"),
        (54.0, None, "above 54/s"),
        (None, 57.3, "below 57.3/s"),
    ],
)
def test_where_the_search_is_reads_as_no_interval_of_the_knee(
    low: float | None, high: float | None, words: str
) -> None:
    assert between(low, high) == words
    assert "knee" not in bracket_text(low, high)
    assert "[" not in bracket_text(low, high)
    assert bracket_text(None, None) == ""


def test_trials_of_one_rate_are_one_point_and_those_that_do_not_count_are_none() -> None:
    points: tuple[CurvePoint, ...] = ()
    for trial in (
        tried(40.0, 100),
        tried(20.0, 0),
        tried(40.2, 300),
        tried(40.0, 900, Phase.HOLD),
        tried(60.0, 900, invalid="the generator was late"),
    ):
        points = with_trial(points, trial)
    assert [(p.rate, p.n, p.over) for p in points] == [(20.0, 1000, 0), (40.0, 2000, 400)]


def test_a_bar_is_as_long_as_the_share_on_a_logarithmic_scale_says() -> None:
    points = tuple(
        CurvePoint(rate, 1000, over, 0.1)
        for rate, over in ((10.0, 0), (20.0, 1), (30.0, 10), (40.0, 100), (50.0, 1000))
    )
    _, *rows = curve_lines(points, 9, 27 + 30)
    assert [row.count("█") for row in rows] == [0, 1, 10, 20, 30]
    assert "100 %" in rows[-1] and "0.0 %" in rows[0]


def test_a_small_screen_has_the_rates_that_the_search_is_at() -> None:
    points = tuple(CurvePoint(float(rate), 100, 0, None) for rate in range(10, 110, 10))
    _, *rows = curve_lines(points, 3, 60, near=50.0)
    assert [row.split()[0] for row in rows] == ["40/s", "50/s", "60/s"]
    _, *highest = curve_lines(points, 2, 60)
    assert [row.split()[0] for row in highest] == ["90/s", "100/s"]
    assert curve_lines((), 9, 60) == []


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 50), (40, 12)])
def test_the_live_view_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int, lines: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(lines))
    view = LiveView(colour=False)
    view.watch(Began("climb", "looking for the knee " * 9, 30.0))
    for rate in range(10, 250, 10):
        view.watch(Ticked(Step(Phase.PASS, rate, 10.0, seed=1), CALM_SECOND))
        view.watch(Tried(tried(float(rate), rate), low=54.0, high=57.3))
        view.watch(Noted("of something that is told at length " * 8))
    shown = io.StringIO()
    Console(file=shown, width=columns, height=lines).print(view._draw())
    drawn = shown.getvalue().splitlines()
    assert len(drawn) < lines
    assert max(map(len, drawn)) <= columns
    assert any("54/s and 57" in line for line in drawn)
    assert sum(line.lstrip()[:1].isdigit() and "/s" in line for line in drawn) >= 3
