"""Where a series of runs moved, against counts and another library's call."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from perfhunt.analysis.verdict.change_points import FEWEST, change_points


def noise(seed: int, n: int, spread: float = 0.03) -> list[float]:
    """Runs of one build: log-normal around 100."""
    values = 100 * np.exp(spread * np.random.default_rng(seed).standard_normal(n))
    return [float(value) for value in values]


def test_a_clear_step_is_found_where_it_is_with_its_size() -> None:
    values = [*noise(1, 14), *(1.2 * value for value in noise(2, 9))]
    (step,) = change_points(values)
    assert step.at == 14
    assert step.change == pytest.approx(0.2, abs=0.04)
    assert step.before == pytest.approx(float(np.median(values[:14])))


def test_two_steps_are_found_in_order() -> None:
    values = [*noise(1, 12), *(1.3 * v for v in noise(2, 12)), *(0.9 * v for v in noise(3, 12))]
    assert [step.at for step in change_points(values)] == [12, 24]


def test_the_p_of_the_shortest_series_is_what_counting_gives() -> None:
    values = [float(value) for value in range(1, FEWEST + 1)]
    (step,) = change_points(values)
    assert step.at == FEWEST // 2
    # Of all the ways to part ten ranks into halves, two have all the small ones on one side.
    assert step.p == pytest.approx(2 / comb(FEWEST, FEWEST // 2), abs=0.003)


def test_the_place_is_where_the_test_of_mann_and_whitney_is_surest() -> None:
    values = [*noise(5, 8), *(1.1 * value for value in noise(6, 17))]
    (step,) = change_points(values)

    def z(at: int) -> float:
        u = mannwhitneyu(values[:at], values[at:]).statistic
        size = at * (len(values) - at)
        return float(abs(u - size / 2) / size**0.5)

    assert step.at == max(range(1, len(values)), key=z)


def test_too_few_runs_and_runs_that_are_all_equal_have_no_change() -> None:
    assert change_points([1.0] * 4 + [9.0] * (FEWEST - 5)) == ()
    assert change_points([]) == ()
    assert change_points([5.0] * 30) == ()
