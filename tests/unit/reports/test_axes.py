"""Axes hold whatever a stored run may hold, which need not be one that was measured."""

from __future__ import annotations

import math

import pytest

from perfhunt.errors import Unreadable
from perfhunt.reports.format import Format
from perfhunt.reports.pictures.axes import Axis
from tests.sample_run import sample_run


@pytest.mark.parametrize(("low", "high"), [(-1.0, 2.0), (0.0, 0.0), (-2.0, -1.0), (5e-324, 1e308)])
def test_a_logarithmic_axis_has_a_place_for_values_that_have_no_logarithm(
    low: float, high: float
) -> None:
    axis = Axis(low, high, 0.0, 100.0, log=True)
    assert all(0.0 <= axis.at(value) <= 100.0 for value in (low, high, 1.0, -3.0))
    assert all(map(math.isfinite, axis.ticks()))


def test_a_run_with_numbers_that_cannot_be_is_refused_by_name() -> None:
    impossible = Format("page", "page.txt", "", text=lambda run: str(run.seconds / 0.0))
    with pytest.raises(Unreadable, match=f"run {sample_run().id} cannot be shown as page"):
        impossible.render(sample_run())
