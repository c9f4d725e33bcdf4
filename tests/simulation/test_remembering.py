"""Simulated services that remember, against the laws of their memory."""

from __future__ import annotations

import pytest

from perfhunt.model.trial import Drain, Phase, Step, Trial
from perfhunt.testing import Cache, Cliff, QueueEngine, Service, constant, exponential
from tests.simulation.queues import P99

HIT, MISS = 0.001, 0.05


def held(engine: QueueEngine, rate: float, seconds: float, settle: float = 0.0) -> Trial:
    return engine.run(Step(Phase.FIXED, rate, seconds, 5, settle, stop_on_overload=False))


@pytest.mark.parametrize("rate", [5.0, 20.0, 80.0])
def test_the_share_of_misses_falls_as_the_rate_rises(rate: float) -> None:
    """Renewal theory: an entry's life ttl, then keys/rate until it is asked for again."""
    cache = Cache(keys=100, ttl=10.0, slow=constant(MISS))
    engine = QueueEngine(Service(constant(HIT), 64, cache=cache), (P99,))
    trial = held(engine, rate, 4000.0, settle=100.0)
    mean = trial.response.mean or 0.0
    assert (mean - HIT) / (MISS - HIT) == pytest.approx(1 / (1 + rate * 10.0 / 100), rel=0.05)


def test_a_cache_forgets_while_nothing_is_asked() -> None:
    cache = Cache(keys=100, ttl=10.0, slow=constant(MISS))
    engine = QueueEngine(Service(constant(HIT), 64, cache=cache), (P99,))
    cold = held(engine, 1000.0, 1.0)
    warm = held(engine, 1000.0, 1.0)
    engine.clock += 1000.0
    cold_again = held(engine, 1000.0, 1.0)
    assert (warm.response.mean or 0.0) < 0.3 * (cold.response.mean or 0.0)
    assert cold_again.response.mean == pytest.approx(cold.response.mean, rel=0.1)


def cliff() -> QueueEngine:
    return QueueEngine(Service(exponential(0.006), cliff=Cliff(patience=0.4)), (P99,))


def mean_at_half(engine: QueueEngine) -> float:
    """Mean response at 40/s, in seconds: 1 / (mu - 40) of M/M/1."""
    return held(engine, 40.0, 300.0).response.mean or 0.0


HEALTHY, DEGRADED = 1 / (1 / 0.006 - 40), 1 / (1 / 0.012 - 40)


def test_an_overload_halves_the_capacity_and_a_drain_does_not_give_it_back() -> None:
    engine = cliff()
    assert mean_at_half(engine) == pytest.approx(HEALTHY, rel=0.05)
    held(engine, 300.0, 10.0)
    assert engine.drain(Drain()).recovered
    assert mean_at_half(engine) == pytest.approx(DEGRADED, rel=0.1)


def test_twenty_seconds_of_quiet_give_it_back() -> None:
    engine = cliff()
    held(engine, 300.0, 10.0)
    engine.drain(Drain())
    engine.clock += 20.0
    assert mean_at_half(engine) == pytest.approx(HEALTHY, rel=0.05)


def test_load_that_the_healthy_service_holds_keeps_it_degraded() -> None:
    engine = cliff()
    held(engine, 300.0, 10.0)
    engine.drain(Drain())
    assert held(engine, 100.0, 60.0).completed < 90.0
