"""A trial's count against what a criterion allows: known laws of exceedances as the oracle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from perfhunt.analysis.trial.exceedance import CLEAR, LIKELY, Standing, excess_of, standing
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Count, Trial
from tests.unit.trials import CALM_SECOND, HELD

P99 = Criterion("latency.p99", 0.25, 0.01)
PER_SECOND = 500


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(12)


def trial_of(exceed: NDArray[np.int64], due: int = PER_SECOND) -> Trial:
    """A trial with these requests over the limit in its seconds."""
    rows = tuple(
        replace(CALM_SECOND, second=second, due=due, exceed=(int(many),))
        for second, many in enumerate(exceed)
    )
    count = Count(due * len(exceed), int(exceed.sum()))
    return replace(HELD, rows=rows, counts={P99.name: count})


def evenly(random: np.random.Generator, share: float, seconds: int) -> NDArray[np.int64]:
    """Each request late by itself with the same probability: a part that is always late."""
    return random.binomial(PER_SECOND, share, seconds)


def in_bursts(
    random: np.random.Generator, share: float, seconds: int, size: float = 60.0
) -> NDArray[np.int64]:
    """Bursts of about `size` requests, at random seconds."""
    bursts = random.poisson(share * PER_SECOND / size, seconds)
    return np.array([int(random.geometric(1 / size, n).sum()) if n else 0 for n in bursts])


def share_called(stands: Standing, counts: list[NDArray[np.int64]], level: float = CLEAR) -> float:
    """How many of these trials stand so."""
    return float(np.mean([standing(trial_of(each), P99, level) is stands for each in counts]))


@pytest.mark.parametrize("seconds", [4, 12, 40])
def test_on_the_line_a_trial_is_seldom_called_failed_or_held(
    seconds: int, random: np.random.Generator
) -> None:
    trials = [evenly(random, 0.01, seconds) for _ in range(400)]
    assert share_called(Standing.FAILED, trials) <= 0.01
    assert share_called(Standing.HELD, trials) <= 0.01


@pytest.mark.parametrize("seconds", [12, 40])
def test_bursts_on_the_line_are_not_taken_for_a_failure(
    seconds: int, random: np.random.Generator
) -> None:
    trials = [in_bursts(random, 0.01, seconds) for _ in range(300)]
    assert share_called(Standing.FAILED, trials) <= 0.01
    assert share_called(Standing.FAILED, trials, LIKELY) <= 0.10


def test_a_part_that_is_always_late_is_proved_within_seconds(random: np.random.Generator) -> None:
    assert share_called(Standing.FAILED, [evenly(random, 0.02, 12) for _ in range(300)]) > 0.85


def test_the_same_share_in_one_stall_proves_nothing() -> None:
    stall = np.zeros(12, dtype=np.int64)
    stall[5] = 120  # 2 % of 6,000 requests, in one second
    assert standing(trial_of(stall), P99) is Standing.OPEN
    assert standing(trial_of(stall), P99, LIKELY) is Standing.OPEN


def test_a_share_well_below_the_line_is_held(random: np.random.Generator) -> None:
    assert share_called(Standing.HELD, [evenly(random, 0.003, 40) for _ in range(300)]) > 0.9


def test_no_request_late_in_a_dozen_seconds_may_be_the_time_between_two_bursts() -> None:
    assert standing(trial_of(np.zeros(12, dtype=np.int64)), P99) is Standing.OPEN
    few = np.array([0, 2], dtype=np.int64)
    assert standing(trial_of(few, due=20), P99) is Standing.OPEN


def test_an_overload_has_failed_and_an_empty_trial_says_nothing() -> None:
    calm = trial_of(np.zeros(4, dtype=np.int64))
    assert standing(replace(calm, overload="the queue ran away"), P99) is Standing.FAILED
    assert standing(replace(calm, counts={P99.name: Count(0, 0)}), P99) is Standing.OPEN
    assert standing(replace(calm, counts={}), P99) is Standing.OPEN


def test_the_dispersion_is_that_of_the_bursts(random: np.random.Generator) -> None:
    """Of a compound Poisson with geometric bursts of mean m it is about 2m - 1."""
    seen = [
        excess_of(trial_of(in_bursts(random, 0.02, 200, size=8.0)), P99).dispersion
        for _ in range(60)
    ]
    assert np.mean(seen) == pytest.approx(15.0, rel=0.15)
