"""The simulated queue, against queueing theory."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from perfhunt.model.trial import Drain, Phase, Step, Trial
from perfhunt.testing import QueueEngine, Service, constant, exponential, lognormal
from tests.simulation.queues import P99


def measured(
    service: Service, rate: float, *, seconds: float = 2000.0, seeds: int = 4, settle: float = 20.0
) -> list[Trial]:
    trials = []
    for seed in range(seeds):
        engine = QueueEngine(service, (P99,), seed)
        step = Step(Phase.FIXED, rate, seconds, seed + 50, settle, stop_on_overload=False)
        trials.append(engine.run(step))
    return trials


def mean_response(trials: Sequence[Trial]) -> float:
    return sum((t.response.mean or 0.0) * t.n for t in trials) / sum(t.n for t in trials)


def median(trial: Trial) -> float:
    assert trial.response.p50 is not None
    return trial.response.p50


def test_the_mean_response_of_one_exponential_server_is_one_over_the_spare_rate() -> None:
    trials = measured(Service(exponential(0.006)), 100.0)
    assert mean_response(trials) == pytest.approx(1 / (1 / 0.006 - 100), rel=0.05)


def test_the_tail_of_one_exponential_server_is_exponential_in_the_spare_rate() -> None:
    counts = [
        t.counts["latency.p99"] for t in measured(Service(exponential(0.006)), 120.0, seeds=10)
    ]
    share = sum(c.exceed for c in counts) / sum(c.n for c in counts)
    assert share == pytest.approx(math.exp(-(1 / 0.006 - 120) * 0.1), rel=0.15)


def test_constant_service_waits_as_pollaczek_and_khinchine_say() -> None:
    rate, held = 120.0, 0.006
    rho = rate * held
    trials = measured(Service(constant(held)), rate)
    assert mean_response(trials) == pytest.approx(held + rho * held / (2 * (1 - rho)), rel=0.05)


def test_four_exponential_servers_wait_as_erlang_says() -> None:
    k, held, rate = 4, 0.02, 160.0
    load = rate * held
    last = load**k / math.factorial(k) * k / (k - load)
    waits = last / (sum(load**i / math.factorial(i) for i in range(k)) + last)
    trials = measured(Service(exponential(held), workers=k), rate)
    assert mean_response(trials) == pytest.approx(held + waits / (k / held - rate), rel=0.05)


def test_requests_in_flight_equal_rate_times_response() -> None:
    trial = measured(Service(lognormal(0.006, 1)), 100.0, seeds=1, settle=0.0)[0]
    in_flight = np.mean([row.in_flight for row in trial.rows])
    assert in_flight == pytest.approx(trial.achieved * mean_response([trial]), rel=0.01)


def test_rows_add_up_to_the_trial() -> None:
    trial = measured(Service(lognormal(0.006, 1)), 120.0, seconds=60, seeds=1, settle=0.0)[0]
    assert sum(row.due for row in trial.rows) == trial.n
    assert sum(row.exceed[0] for row in trial.rows) == trial.counts["latency.p99"].exceed


def test_pauses_lengthen_the_service_by_their_share_of_the_time() -> None:
    trials = measured(Service(constant(0.001), pause=0.1, period=1.0), 5.0)
    # A tenth of the requests arrive during a pause and wait half of it; of the others one in a
    # thousand runs into one.
    assert mean_response(trials) == pytest.approx(0.001 + 0.1 * 0.05, rel=0.1)


def test_a_limiter_refuses_what_is_above_its_rate_and_stays_quick() -> None:
    trial = measured(Service(constant(0.001), refuse_above=80.0), 100.0, seconds=300, seeds=1)[0]
    assert trial.failed / trial.n == pytest.approx(0.2, abs=0.02)
    assert trial.response.p99 is not None
    assert trial.response.p99 < 0.01


def test_an_overloaded_step_stops_early_and_its_backlog_stays_until_drained() -> None:
    engine = QueueEngine(Service(exponential(0.006)), (P99,), 1)
    hot = engine.run(Step(Phase.RAMP, 400.0, 30.0, 1))
    assert hot.overload
    assert hot.seconds < 10
    poisoned = engine.run(Step(Phase.PASS, 50.0, 2.0, 2))
    engine.run(Step(Phase.RAMP, 400.0, 30.0, 3))
    drained = engine.drain(Drain())
    clean = engine.run(Step(Phase.PASS, 50.0, 2.0, 2))
    assert drained.recovered
    assert poisoned.counts["latency.p99"].exceed > 10 * max(1, clean.counts["latency.p99"].exceed)


def test_a_backlog_longer_than_the_cap_is_not_recovered() -> None:
    engine = QueueEngine(Service(exponential(0.05)), (P99,), 1)
    engine.run(Step(Phase.CAPACITY, 1000.0, 30.0, 1, stop_on_overload=False))
    assert not engine.drain(Drain(cap=5.0)).recovered


def test_the_same_seed_gives_the_same_trials() -> None:
    first, second = (
        measured(Service(lognormal(0.02, 2), workers=4), 120.0, seconds=30, seeds=1)[0]
        for _ in range(2)
    )
    assert first == second


def test_warming_up_is_slow_at_first() -> None:
    engine = QueueEngine(Service(constant(0.005), warmup=3.0, warmup_tau=5.0), (P99,), 1)
    cold, _, warm = (engine.run(Step(Phase.WARMUP, 20.0, 10.0, seed)) for seed in (1, 2, 3))
    assert median(cold) > 1.5 * median(warm)
