"""The picture of a service that changes as it runs."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from perfhunt.model.interval import Interval
from perfhunt.model.knee import Drift, DriftKind
from perfhunt.model.run import Run
from perfhunt.model.trial import Phase, Resources, Trial
from perfhunt.reports.format import FORMATS
from perfhunt.reports.pictures.drift_chart import drift_chart
from tests.sample_run import sample_run

WHOLE = sample_run()


def reference(median: float, rss: int) -> Trial:
    first = next(trial for trial in WHOLE.trials if not trial.invalid)
    return replace(
        first,
        step=replace(first.step, phase=Phase.REFERENCE),
        response=replace(first.response, p50=median, p99=3 * median),
        resources=Resources(10.0, rss=rss),
    )


def changed(kind: DriftKind) -> Run:
    trials = tuple(reference(0.01 * 2**n, (100 + 50 * n) * 2**20) for n in range(3))
    drift = Drift(kind, 50.0, Interval(4.0, 3.0, 5.0, 9, 0.99), "the service gets slower")
    return replace(WHOLE, trials=trials, drift=drift, cautions=())


def corners(picture: str, name: str) -> list[tuple[float, float]]:
    (points,) = re.findall(rf'class="{name}" points="([^"]*)"', picture)
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in points.split())]


def test_each_asking_is_a_point_by_what_the_service_had_served() -> None:
    picture = drift_chart(changed(DriftKind.SLOWER))
    medians, memory = corners(picture, "c-line c-p50"), corners(picture, "c-memory")
    assert len(medians) == len(memory) == 3
    (x1, y1), (x2, y2), (x3, y3) = medians
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
    assert y1 - y2 == pytest.approx(y2 - y3, abs=0.2)  # it doubles each time: even on a log axis
    assert "memory 100 MiB to 200 MiB" in picture


def test_a_steady_service_needs_no_picture() -> None:
    assert drift_chart(changed(DriftKind.STEADY)) == ""
    assert drift_chart(WHOLE) == ""


def test_the_page_shows_it_and_says_it() -> None:
    page = FORMATS["html"].render(changed(DriftKind.SLOWER))
    assert "As it runs" in page
    assert "the service gets slower" in page
