"""What load added to the mean latency, as the page lists it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from perfhunt.reports.html.waterfall_list import MOST, waterfall_list
from tests.sample_run import aborted_run, sample_run

WHOLE = sample_run()
assert WHOLE.waterfall is not None
PARTS = WHOLE.waterfall


def bars(picture: str) -> list[tuple[float, float]]:
    """Left and right ends of every bar, from the top down."""
    found = re.findall(r'<rect class="[^"]*" x="([\d.]+)" y="0" width="([\d.]+)"', picture)
    return [(float(x), float(x) + float(width)) for x, width in found]


def test_every_bar_begins_where_the_last_one_ended_and_the_last_ends_at_the_knee() -> None:
    first, *steps, last = bars(waterfall_list(WHOLE))
    at = first[1]
    for left, right in steps:
        falls = right == pytest.approx(at, abs=0.2) and left != pytest.approx(at, abs=0.2)
        start, end = (right, left) if falls else (left, right)
        assert start == pytest.approx(at, abs=0.2)
        at = end
    assert at == pytest.approx(last[1], abs=0.2)
    assert last[1] / first[1] == pytest.approx(24.0 / 5.2, rel=0.01)


def test_the_largest_parts_have_rows_and_the_others_one_together() -> None:
    many = tuple(replace(PARTS.parts[0], name=f"part {n}") for n in range(9))
    shown = waterfall_list(replace(WHOLE, waterfall=replace(PARTS, parts=many)))
    names = re.findall(r"<li[^>]*><span>([^<]*)</span>", shown)
    assert names[1 : MOST + 2] == [*(f"part {n}" for n in range(MOST)), "3 smaller parts"]
    assert names[-2:] == ["not accounted for", "mean at the knee"]


def test_a_name_from_the_target_cannot_break_the_list() -> None:
    part = replace(PARTS.parts[0], name='<script>"&')
    shown = waterfall_list(replace(WHOLE, waterfall=replace(PARTS, parts=(part,))))
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def test_without_parts_there_is_no_list() -> None:
    assert waterfall_list(aborted_run()) == ""
