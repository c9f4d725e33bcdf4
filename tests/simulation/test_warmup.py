"""When a service has warmed up, on queues whose warm-up is known."""

from __future__ import annotations

from perfhunt.analysis.knee.search import drive
from perfhunt.analysis.knee.stages.warmup import WarmUp, warm_up
from perfhunt.testing import QueueEngine, Service, constant, exponential
from tests.simulation.queues import GOAL, MM1, P99, answering


def warmed(service: Service, cap: float = 120.0) -> WarmUp:
    return drive(warm_up(GOAL, 50.0, cap), answering(QueueEngine(service, (P99,), 1)))


def test_a_service_at_rest_is_warm_after_three_blocks() -> None:
    warm = warmed(MM1)
    assert warm.stationary
    assert warm.seconds <= 60


def test_warming_up_takes_as_long_as_the_service_does() -> None:
    slow = warmed(Service(exponential(0.003), warmup=2.0, warmup_tau=15.0))
    assert slow.stationary
    assert slow.seconds >= 40


def test_a_service_that_keeps_getting_slower_is_never_warm() -> None:
    warm = warmed(Service(constant(0.003), drift=0.9, drift_period=480.0), cap=60.0)
    assert not warm.stationary
    assert "had not settled" in warm.caution
