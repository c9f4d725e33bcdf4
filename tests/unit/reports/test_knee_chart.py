"""The picture of the knee is drawn from what the run holds, and from nothing else."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

import perfhunt.reports
from perfhunt.analysis.knee.goal import Goal
from perfhunt.analysis.knee.search import drive, search
from perfhunt.model.knee import FittedCurve, Knee
from perfhunt.model.run import Run
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Count, Phase, Step
from perfhunt.reports.format import FORMATS
from perfhunt.reports.html.rows import knee_note
from perfhunt.reports.pictures.knee_chart import knee_chart
from perfhunt.testing import QueueEngine, Service, exponential
from tests.sample_run import sample_run

WHOLE = sample_run()
NOT_STORED = "No curve is stored in this run"


def with_curve(curve: FittedCurve | None) -> Run:
    assert isinstance(WHOLE.knee, Knee)
    return replace(WHOLE, knee=replace(WHOLE.knee, curve=curve))


def corners(picture: str, name: str) -> list[tuple[float, float]]:
    """The corners of the fit's line or band, in pixels."""
    drawn = re.search(rf'class="{name}" points="([^"]*)"', picture)
    if drawn is None:
        return []
    places = [pair.split(",") for pair in drawn[1].split()]
    return [(float(x), float(y)) for x, y in places]


def test_the_line_and_the_band_have_a_corner_for_each_stored_rate() -> None:
    curve = FittedCurve((100.0, 120.0, 140.0), (0.001, 0.01, 0.1), (5e-4, 5e-3, 0.05), (0.01,) * 3)
    picture = knee_chart(with_curve(curve))
    line, band = corners(picture, "c-fit"), corners(picture, "c-fit-band")
    assert len(line) == 3
    assert len(band) == 6
    # One decade of the share is as high as the next, 20/s as wide as the next.
    (x0, y0), (x1, y1), (x2, y2) = line
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.02)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.02)
    assert y0 > y1


def test_other_trials_leave_the_curve_where_it_is() -> None:
    busier = replace(
        WHOLE,
        trials=tuple(
            replace(
                t, counts={name: Count(c.n, min(c.n, 3 * c.exceed)) for name, c in t.counts.items()}
            )
            for t in WHOLE.trials
        ),
    )
    for name in ("c-fit", "c-fit-band"):
        assert corners(knee_chart(busier), name) == corners(knee_chart(WHOLE), name) != []


def test_a_run_of_an_earlier_version_says_that_no_curve_is_stored_and_shows_the_rest() -> None:
    old = with_curve(None)
    picture = knee_chart(old)
    assert corners(picture, "c-fit") == corners(picture, "c-fit-band") == []
    assert picture.count("<circle") == knee_chart(WHOLE).count("<circle") > 0
    assert 'class="c-band"' in picture
    assert NOT_STORED in knee_note(old)
    assert NOT_STORED in FORMATS["html"].render(old)
    assert NOT_STORED not in knee_note(WHOLE)


def test_a_search_stores_the_curve_that_its_knee_was_read_off() -> None:
    p99 = Criterion("latency.p99", 0.1, 0.01)
    engine = QueueEngine(Service(exponential(0.006)), (p99,), 1)
    goal = Goal((p99,), budget=150.0)
    baseline = engine.run(Step(Phase.BASELINE, goal.start, 15.0, 1, 1.0))
    found = drive(
        search(goal, baseline),
        lambda ask: engine.run(ask) if isinstance(ask, Step) else engine.drain(ask),
    )
    assert isinstance(found.knee, Knee)
    curve = found.knee.curve
    assert curve is not None
    assert list(curve.rates) == sorted(curve.rates)
    for low, share, high in zip(curve.low, curve.shares, curve.high, strict=True):
        assert low <= share <= high
    below = [
        share
        for rate, share in zip(curve.rates, curve.shares, strict=True)
        if rate < found.knee.rate
    ]
    above = [
        share
        for rate, share in zip(curve.rates, curve.shares, strict=True)
        if rate > found.knee.rate
    ]
    assert max(below) < p99.share < min(above)


def test_reports_ask_the_analysis_for_nothing_but_whose_code_a_frame_is() -> None:
    imported = {
        node.module
        for path in Path(perfhunt.reports.__path__[0]).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert "perfhunt.model.run" in imported
    analysis = {name for name in imported if name.startswith("perfhunt.analysis")}
    assert analysis == {"perfhunt.analysis.blame.frames"}
