"""The promise behind every verdict: the same build is called different in at most 2 % of
comparisons, whatever the noise.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtr

from perfhunt.analysis.verdict.endpoints import weights_of
from perfhunt.analysis.verdict.sequential import ALPHA, LOOKS, NoisePrior, estimate, holm, level

EXPERIMENTS = 40_000


def called_different(names: list[str], correlation: float, seed: int) -> float:
    """Share of experiments without any effect in which some endpoint crosses its level at some
    look.

    Under no effect at all, Holm's first step decides whether anything is called different.
    """
    random = np.random.default_rng(seed)
    weights = weights_of(names)
    shared = random.standard_normal((EXPERIMENTS, LOOKS[-1]))
    crossed = np.zeros(EXPERIMENTS, dtype=bool)
    for name in names:
        own = random.standard_normal(shared.shape)
        x = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
        for n in LOOKS:
            seen = x[:, :n]
            t = np.abs(seen.mean(axis=1)) / (seen.std(axis=1, ddof=1) / np.sqrt(n))
            crossed |= 2 * stdtr(n - 1, -t) <= level(n) * weights[name]
    return float(crossed.mean())


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
def test_identical_builds_are_called_different_in_at_most_two_percent_of_comparisons(
    correlation: float,
) -> None:
    # Three standard errors of 40,000 experiments at 2 % are 0.2 %.
    assert called_different(["knee", "median", "capacity", "cpu"], correlation, 1) <= ALPHA + 0.002


def test_the_promise_holds_when_only_one_endpoint_could_be_measured() -> None:
    assert called_different(["median"], 0.0, 2) <= ALPHA + 0.002


@pytest.mark.parametrize("pairs", [4, 8])
def test_the_promise_holds_with_noise_pooled_from_a_calibration(pairs: int) -> None:
    random, called, experiments = np.random.default_rng(pairs), 0, 1_000
    weights = weights_of(["knee", "median", "capacity", "cpu"])
    for _ in range(experiments):
        before, now = random.standard_normal((4, pairs)), random.standard_normal((4, LOOKS[-1]))
        priors = [NoisePrior(float(sd), pairs - 1.0) for sd in before.std(axis=1, ddof=1)]
        called += any(
            estimate(now[i, :n].tolist(), priors[i]).p <= level(n) * weight
            for n in LOOKS
            for i, weight in enumerate(weights.values())
        )
    # Three standard errors of 1,000 experiments at 2 % are 1.3 %.
    assert called / experiments <= ALPHA + 0.013


@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=20).filter(lambda xs: np.std(xs) > 1e-6))
def test_turning_every_difference_round_turns_the_estimate_round(differences: list[float]) -> None:
    there, back = estimate(differences), estimate([-d for d in differences])
    assert there.p == pytest.approx(back.p)
    assert there.mean == pytest.approx(-back.mean)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1), min_size=1), st.floats(0.001, 0.2)
)
@settings(max_examples=200)
def test_holm_never_rejects_more_at_a_stricter_level_and_never_less_than_bonferroni(
    p: dict[str, float], alpha: float
) -> None:
    weights = dict.fromkeys(p, 1.0)
    rejected = holm(p, weights, alpha)
    assert holm(p, weights, alpha / 2) <= rejected
    assert {k for k, v in p.items() if v <= alpha / len(p) * (1 - 1e-12)} <= rejected
