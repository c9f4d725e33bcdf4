"""When trials that follow each other err alike, and by how much that widens an interval."""

from __future__ import annotations

import math

import numpy as np
import pytest

from perfhunt.analysis.knee.curve.fit import alike_in_time


def test_trials_that_scatter_one_by_one_widen_nothing() -> None:
    assert alike_in_time(np.array([1.0, -1.0] * 8)) == 1.0
    assert alike_in_time(np.array([1.0, 1.0, -1.0, -1.0] * 4)) == 1.0


def test_a_host_that_is_one_thing_for_half_of_the_trials_and_another_afterwards_does() -> None:
    # Of 15 products of neighbours 14 are 1 and one is -1: r = 13 / 16, which is cut at 0.8.
    assert alike_in_time(np.array([1.0] * 8 + [-1.0] * 8)) == pytest.approx(3.0)
    # Blocks of four: 12 are 1 and three are -1, r = 9 / 16.
    four = np.array([1.0] * 4 + [-1.0] * 4 + [1.0] * 4 + [-1.0] * 4)
    assert alike_in_time(four) == pytest.approx(math.sqrt(25 / 7))


def test_too_few_trials_and_trials_without_any_error_tell_nothing() -> None:
    assert alike_in_time(np.array([1.0] * 4 + [-1.0] * 3)) == 1.0
    assert alike_in_time(np.zeros(20)) == 1.0


def test_chance_widens_hardly_ever() -> None:
    random = np.random.default_rng(1)
    widened = [alike_in_time(random.standard_normal(20)) > 1.0 for _ in range(2000)]
    assert np.mean(widened) < 0.05
