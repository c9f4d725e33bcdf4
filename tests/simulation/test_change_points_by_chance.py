"""How often runs of one build are told to have changed, and how small a step is seen, against what
is promised in docs/history.md.
"""

from __future__ import annotations

import numpy as np
import pytest

from perfhunt.analysis.verdict.change_points import ERROR_RATE, FEWEST, change_points

SERIES = 200


def noise(seed: int, n: int, spread: float = 0.03) -> list[float]:
    """Runs of one build: log-normal around 100."""
    values = 100 * np.exp(spread * np.random.default_rng(seed).standard_normal(n))
    return [float(value) for value in values]


@pytest.mark.parametrize("n", [FEWEST, 15, 30])
def test_runs_of_one_build_are_seldom_told_to_have_changed(n: int) -> None:
    told = sum(bool(change_points(noise(seed, n))) for seed in range(SERIES))
    # Three standard deviations above what is promised.
    assert told <= SERIES * ERROR_RATE + 3 * (SERIES * ERROR_RATE) ** 0.5


@pytest.mark.parametrize(("before", "after"), [(20, 10), (30, 5)])
def test_a_step_of_four_times_the_noise_is_seen_nearly_always(before: int, after: int) -> None:
    """Also near the end, where it matters: after five runs."""
    seen = 0
    for seed in range(SERIES // 4):
        values = noise(seed, before + after)
        values[before:] = [1.12 * value for value in values[before:]]
        seen += any(abs(step.at - before) <= 1 for step in change_points(values))
    assert seen >= 0.9 * SERIES / 4
