"""What so many requests show, against sums of binomial chances and draws from a known law."""

from __future__ import annotations

import math

import numpy as np
import pytest

from perfhunt.analysis.gate.sample import needed, percentile_interval, share_interval


def at_most(exceed: int, n: int, share: float) -> float:
    """The chance of at most so many, summed by hand."""
    return sum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(exceed + 1))


@pytest.mark.parametrize(("exceed", "n"), [(0, 300), (1, 300), (7, 40), (39, 40), (40, 40), (0, 1)])
def test_at_the_ends_of_a_shares_interval_the_count_has_the_chance_of_a_tail(
    exceed: int, n: int
) -> None:
    shown = share_interval(exceed, n)
    if exceed < n:
        assert at_most(exceed, n, shown.high) == pytest.approx(0.025)
    else:
        assert shown.high == 1
    if exceed:
        assert 1 - at_most(exceed - 1, n, shown.low) == pytest.approx(0.025)
    else:
        assert shown.low == 0


def test_nothing_over_the_limit_in_three_hundred_leaves_more_than_one_in_a_hundred_open() -> None:
    assert share_interval(0, 300).high == pytest.approx(0.0122, abs=1e-4)


@pytest.mark.parametrize("allowed", [0.5, 0.05, 0.01, 0.001])
def test_as_many_as_are_needed_show_it_and_one_fewer_does_not(allowed: float) -> None:
    n = needed(allowed)
    assert share_interval(0, n).high <= allowed < share_interval(0, n - 1).high
    values = np.arange(float(n))
    assert percentile_interval(values, 1 - allowed)[1] is not None
    assert percentile_interval(values[1:], 1 - allowed)[1] is None


@pytest.mark.parametrize(("n", "share"), [(400, 0.99), (100, 0.5), (150, 0.95)])
def test_the_interval_of_a_percentile_holds_it_as_often_as_it_says(n: int, share: float) -> None:
    """Of an exponential law, whose percentile is -ln(1 - share)."""
    random, truth, rounds = np.random.default_rng(7), -math.log(1 - share), 2000
    held = 0
    for _ in range(rounds):
        low, high = percentile_interval(np.sort(random.standard_exponential(n)), share)
        held += (low is None or low <= truth) and (high is None or truth <= high)
    assert held / rounds >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / rounds)


def test_too_few_show_no_end_and_none_show_nothing() -> None:
    low, high = percentile_interval(np.arange(20.0), 0.99)
    assert low in (17.0, 18.0, 19.0) and high is None
    assert percentile_interval(np.empty(0), 0.99) == (None, None)
