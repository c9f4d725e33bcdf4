"""The checks on a trial speak when they should, and hold their tongue on what is sound."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import signal

from perfhunt.analysis.trial.steadiness import (
    answers_alike,
    arrivals_strayed,
    in_flight_grew,
    response_drifted,
)
from perfhunt.model.trial import SecondRow, arrivals
from tests.unit.trials import CALM_SECOND

CHANCE = np.random.default_rng(20)


@pytest.mark.parametrize("rate", [50.0, 1000.0, 20_000.0])
@pytest.mark.parametrize("law", ["poisson", "uniform"])
def test_a_stream_as_planned_with_a_little_jitter_passes(rate: float, law: str) -> None:
    planned = arrivals(3, rate, 20.0, law)
    sent = np.sort(planned + CHANCE.exponential(100e-6, len(planned)))
    assert arrivals_strayed(sent, rate, law) == ""


@pytest.mark.parametrize("law", ["poisson", "uniform"])
def test_a_stream_sent_in_bursts_is_noticed(law: str) -> None:
    planned = arrivals(3, 200.0, 20.0, law)
    assert "planned" in arrivals_strayed(np.ceil(planned * 10) / 10, 200.0, law)


def test_a_steady_service_has_no_trend_and_a_warming_one_has() -> None:
    due = np.linspace(0, 20, 2000)
    steady = CHANCE.lognormal(-4, 0.5, 2000)
    assert response_drifted(due, steady) == ""
    assert "falling" in response_drifted(due, steady * np.linspace(2, 1, 2000))


def test_false_alarms_of_a_trend_are_rare() -> None:
    due = np.linspace(0, 20, 1000)
    alarms = sum(bool(response_drifted(due, CHANCE.lognormal(-4, 1.0, 1000))) for _ in range(200))
    assert alarms <= 4


def rows(in_flight: list[float]) -> list[SecondRow]:
    return [replace(CALM_SECOND, second=s, in_flight=n) for s, n in enumerate(in_flight)]


def test_a_growing_backlog_is_told_from_a_wobble() -> None:
    assert "falling behind" in in_flight_grew(rows([5.0 + 20 * s for s in range(10)]), 100.0)
    assert in_flight_grew(rows([5, 6, 4, 7, 5, 6, 5, 4, 6, 5]), 100.0) == ""


def test_independent_answers_pass_and_slow_waves_do_not() -> None:
    noise = CHANCE.standard_normal(20_000)
    assert answers_alike(np.exp(noise)) == ""
    waves = signal.lfilter(
        [1], [1, -0.995], noise
    )  # an AR(1) process: neighbours alike for hundreds
    assert "worth about" in answers_alike(np.exp(waves / 10))
    assert answers_alike(np.ones(1000)) == ""
