"""A smoke in every format: what was judged, what its sample shows, and no word of a knee."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from perfhunt.model.knee import NoKnee, NoKneeCode
from perfhunt.model.run import RunKind
from perfhunt.model.slo import Judgement, Measure, Objective, judge, with_note
from perfhunt.reports.format import FORMATS
from tests.sample_run import sample_run

SHOWN = "0 of 390 beyond the limit, so p99 is 10 ms to 12 ms (95 %)"
P99 = Objective(Measure.LATENCY, "p99", "<=", 0.1)
SMOKE = replace(
    sample_run(),
    kind=RunKind.SMOKE,
    verdict=Judgement.MET,
    judged=(with_note(judge(P99, 0.011, 390), SHOWN),),
    judged_at=10.0,
    knee=NoKnee(NoKneeCode.NOT_SEARCHED, "a smoke asks at 10/s only"),
    knees=(),
    capacity=None,
    route_knees=(),
    bottleneck=None,
    findings=(),
    waterfall=None,
    drift=None,
    disturbance=None,
    profiles={},
    cautions=(),
    next_step="",
)


@pytest.mark.parametrize("name", ["terminal", "markdown", "html"])
def test_what_the_sample_shows_is_in_it_and_no_knee(name: str) -> None:
    text = FORMATS[name].render(SMOKE)
    words = " ".join(re.sub(r"</?[a-z][^>]*>", " ", text).split())
    assert SHOWN in words
    assert "SLO met at 10/s: its one objective holds. Judged by" in words
    assert "Where it breaks" not in text and "No knee" not in text and "none:" not in text


def test_a_run_that_judges_by_thousands_needs_no_such_lines() -> None:
    assert SHOWN not in FORMATS["terminal"].render(replace(SMOKE, kind=RunKind.INVESTIGATE))
