"""Schedules are pure functions of seed and rate, and have the distribution they claim."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from perfhunt.model.trial import arrivals, feed_rows, mix


def test_poisson_gaps_are_exponential_by_kolmogorov_and_smirnov() -> None:
    gaps = np.diff(arrivals(seed=7, rate=200.0, duration=50.0))
    result = stats.kstest(gaps * 200.0, "expon")
    assert result.pvalue > 0.01


def test_uniform_arrivals_are_evenly_spaced_and_start_at_zero() -> None:
    due = arrivals(seed=1, rate=10.0, duration=2.0, law="uniform")
    assert len(due) == 20
    assert due[0] == 0.0
    np.testing.assert_allclose(np.diff(due), 0.1)


def test_the_same_seed_at_another_rate_is_the_same_pattern_stretched() -> None:
    slow, fast = arrivals(3, 10.0, 20.0), arrivals(3, 20.0, 10.0)
    assert min(len(slow), len(fast)) > 150
    np.testing.assert_allclose(slow[:150], fast[:150] * 2.0)


def test_an_unknown_law_is_refused() -> None:
    with pytest.raises(ValueError, match="poisson or uniform"):
        arrivals(1, 1.0, 1.0, law="bursty")


@given(
    seed=st.integers(0, 2**31),
    rate=st.floats(0.1, 5000),
    duration=st.floats(0.1, 3),
    law=st.sampled_from(["poisson", "uniform"]),
)
@settings(deadline=None)
def test_arrivals_are_ascending_inside_the_step_and_repeatable(
    seed: int, rate: float, duration: float, law: str
) -> None:
    due = arrivals(seed, rate, duration, law)
    assert np.all(np.diff(due) >= 0)
    assert np.all((due >= 0) & (due < duration))
    np.testing.assert_array_equal(due, arrivals(seed, rate, duration, law))


def test_the_mix_follows_the_weights() -> None:
    picked = mix(seed=5, n=10_000, weights=[8, 1, 1])
    observed = np.bincount(picked, minlength=3)
    assert stats.chisquare(observed, [8000, 1000, 1000]).pvalue > 0.001


def test_feed_rows_stay_within_the_feed() -> None:
    assert feed_rows(1, 1000, 7).max() == 6
