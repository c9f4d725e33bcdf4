"""The picture of what load added to the mean latency, and its lines in other formats."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from perfhunt.model.finding import Waterfall
from perfhunt.model.interval import Interval
from perfhunt.model.run import Run
from perfhunt.reports.format import FORMATS
from perfhunt.reports.pictures.waterfall_chart import waterfall_chart
from tests.sample_run import aborted_run, sample_run

WHOLE = sample_run()
assert WHOLE.waterfall is not None
PARTS = WHOLE.waterfall


def with_waterfall(waterfall: Waterfall | None) -> Run:
    return replace(WHOLE, waterfall=waterfall)


def bars(picture: str) -> list[tuple[float, float]]:
    """Left and right ends of every bar, from the top down."""
    found = re.findall(r'<rect class="[^"]*" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', picture)
    return [(float(x), float(x) + float(width)) for x, width in found]


def test_every_bar_begins_where_the_last_one_ended_and_the_last_ends_at_the_knee() -> None:
    first, *steps, last = bars(waterfall_chart(WHOLE))
    at = first[1]
    assert len(steps) == 7  # six parts that load changed, and what is left
    for left, right in steps:
        falls = right == pytest.approx(at, abs=0.2) and left != pytest.approx(at, abs=0.2)
        start, end = (right, left) if falls else (left, right)
        assert start == pytest.approx(at, abs=0.2)
        at = end
    assert at == pytest.approx(last[1], abs=0.2)
    assert first[1] - first[0] == pytest.approx((last[1] - last[0]) * 5.2 / 24.0, rel=0.01)


def test_a_part_that_fell_goes_back() -> None:
    picture = waterfall_chart(WHOLE)
    *_, before, fallen, _, _ = bars(picture)  # then what is left, and the knee
    assert fallen[1] == pytest.approx(before[1], abs=0.1)
    assert "s-run_queue w-fallen" in picture


@pytest.mark.parametrize("run", [aborted_run(), with_waterfall(Waterfall(missing="No baseline."))])
def test_without_parts_there_is_no_picture(run: Run) -> None:
    assert waterfall_chart(run) == ""


def test_why_there_is_none_is_said() -> None:
    run = with_waterfall(Waterfall(missing="The service was seen at one load only."))
    assert "The service was seen at one load only." in FORMATS["html"].render(run)
    assert "not split into its parts. The service was seen" in FORMATS["terminal"].render(run)


def test_the_lines_of_the_terminal_sum_to_the_growth() -> None:
    text = FORMATS["terminal"].render(WHOLE)
    lines = re.findall(r"^  ([+−][\d.]+)\b", text, re.MULTILINE)
    assert sum(float(n.replace("−", "-")) for n in lines) == pytest.approx(24.0 - 5.2, abs=0.05)
    assert "+1.2 (−0.8 to 3.2)    not accounted for" in text


def test_that_percentiles_do_not_add_up_is_said_beside_it() -> None:
    page = FORMATS["html"].render(WHOLE)
    assert "the p99 went from 18.1 ms to 250 ms, and is not split" in page


def test_a_name_from_the_target_cannot_break_the_picture() -> None:
    part = replace(PARTS.parts[0], name='<script>"&', added=Interval(0.0121, 0.0, 0.02, 9))
    picture = waterfall_chart(with_waterfall(replace(PARTS, parts=(part, *PARTS.parts[1:]))))
    assert "<script" not in picture
    assert "&lt;script&gt;" in picture
