"""One step asked twice: what is called a change, and what is chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from perfhunt.analysis.trial.shift import ShiftedMeasure, shifts, slower
from perfhunt.model.trial import Trial
from tests.unit.trials import CALM_SECOND, HELD

SECONDS = 10


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(5)


def trial_of(medians: list[float], in_flight: list[float] | None = None) -> Trial:
    """A trial whose seconds had these medians, and so many requests in flight."""
    flight = in_flight or [50.0 * median for median in medians]
    rows = tuple(
        replace(CALM_SECOND, second=second, p50=median, in_flight=many)
        for second, (median, many) in enumerate(zip(medians, flight, strict=True))
    )
    return replace(HELD, rows=rows, step=replace(HELD.step, settle=0.0), overload="")


def noisy(random: np.random.Generator, median: float, spread: float = 0.1) -> Trial:
    return trial_of((median * random.lognormal(0, spread, SECONDS)).tolist())


def test_the_ratio_is_that_of_the_medians() -> None:
    early = [0.010 + 0.001 * second for second in range(SECONDS)]
    found = shifts(trial_of(early), trial_of([2 * median for median in early]))
    assert [shift.of for shift in found] == list(ShiftedMeasure)
    assert all(shift.ratio.value == pytest.approx(2.0) for shift in found)
    assert all(shift.ratio.n == SECONDS and shift.slower for shift in found)


def test_seconds_are_compared_in_pairs(random: np.random.Generator) -> None:
    """Arrivals that make one second slow do so both times: they are no noise."""
    early = random.lognormal(-4, 1.0, SECONDS)
    (median, _) = shifts(trial_of(early.tolist()), trial_of((1.5 * early).tolist()))
    assert median.ratio.low == pytest.approx(1.5, rel=1e-6)


def test_a_stall_of_the_whole_service_shows_in_the_mean_alone() -> None:
    calm, stalled = [0.01] * SECONDS, [0.5 + 2.0 * (second % 2) for second in range(SECONDS)]
    median, mean = shifts(trial_of(calm, [0.5] * SECONDS), trial_of(calm, stalled))
    assert median.ratio.value == 1.0 and not median.slower
    assert mean.ratio.value == pytest.approx(3.0) and mean.slower


def test_an_unchanged_service_is_seldom_called_slower(random: np.random.Generator) -> None:
    pairs = [(noisy(random, 0.01, 0.3), noisy(random, 0.01, 0.3)) for _ in range(600)]
    assert np.mean([slower(early, late) for early, late in pairs]) <= 0.01


def test_a_third_slower_is_found(random: np.random.Generator) -> None:
    pairs = [(noisy(random, 0.01), noisy(random, 0.014)) for _ in range(200)]
    assert np.mean([slower(early, late) for early, late in pairs]) > 0.7


def test_an_overload_where_it_held_is_slower_whatever_the_rows_say() -> None:
    early = trial_of([0.01] * SECONDS)
    assert slower(early, replace(early, overload="the queue ran away", rows=()))
    assert not slower(replace(early, overload="at first too"), replace(early, overload="and late"))


def test_too_few_seconds_say_nothing() -> None:
    assert shifts(trial_of([0.01] * 2), trial_of([0.05] * 2)) == ()
