"""Against servers whose latencies are known from theory, the engine measures what theory says.

The unit is always the server's own: what it measured of its stalls and service times, so that a
busy machine stretches both sides.
"""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from perfhunt.model.latency import SAMPLE
from tests.live.load_targets.harness import P99, announced, engine, measured, python, step
from tests.live.load_targets.timed import PERIOD

pytestmark = pytest.mark.live

FLOAT32 = 1e-6  # seconds: what is lost by keeping a latency of a second in four bytes


def test_a_second_of_stall_in_six_shows_in_the_percentiles_as_arithmetic_says(
    tmp_path: Path,
) -> None:
    """A sixth of arrivals wait for what is left of the stall L, uniform on 0..L: P(R > t) = (L -
    t)/6.
    """
    with announced(*python("timed.py", "stall")) as url, engine(url, tmp_path) as made:
        trial = made.run(step(100, 2 * PERIOD, arrivals="uniform"))
        stall = measured(url).stall
    assert trial.n == 1200
    for share, response in (
        (0.90, trial.response.p90),
        (0.95, trial.response.p95),
        (0.99, trial.response.p99),
    ):
        assert response is not None
        expected = stall - (1 - share) * PERIOD
        assert response / stall == pytest.approx(expected / stall, abs=0.05)
    assert trial.invalid == ""
    # Within the stalled seconds a row knows of the requests that are late without waiting for their
    # answers.
    assert (
        sum(row.exceed[0] for row in trial.rows)
        == trial.counts[P99.name].exceed
        == pytest.approx(trial.n * (stall - P99.limit) / PERIOD, rel=0.08)
    )


def test_a_constant_service_time_is_measured_as_that(tmp_path: Path) -> None:
    with announced(*python("timed.py", "constant", "0.04")) as url, engine(url, tmp_path) as made:
        trial = made.run(step(50, 3.0))
        held = measured(url).held
    samples = np.fromfile(tmp_path / trial.samples, dtype=SAMPLE)
    assert len(samples) == len(held) == trial.n
    # The client's clock runs from before the server reads until after it writes: one by one no
    # service can be shorter than what it was held, so neither can the sorted ones.
    assert np.all(np.sort(samples["service"]) >= np.sort(held) - FLOAT32)
    assert trial.response.p50 is not None
    assert 1.0 <= trial.response.p50 / np.median(held) < 1.125


def test_poisson_arrivals_at_one_constant_server_wait_as_pollaczek_and_khinchine_say(
    tmp_path: Path,
) -> None:
    """M/D/1, replayed from the actual arrivals: Lindley's recursion gives each request's own
    waiting time.
    """
    service, rate = 0.02, 30
    with (
        announced(*python("timed.py", "queue", str(service))) as url,
        engine(url, tmp_path) as made,
    ):
        trial = made.run(step(rate, 12.0))
        answers = measured(url)
    samples = np.sort(np.fromfile(tmp_path / trial.samples, dtype=SAMPLE), order="due")
    free, responses = 0.0, []
    for due in samples["due"]:
        free = max(due, free) + service
        responses.append(free - due)
    # The server's queue is arithmetic too; only the writing of each answer may come late.
    expected = np.mean(responses) + np.mean(answers.written - answers.ready)
    assert trial.response.mean is not None
    assert trial.response.mean / expected == pytest.approx(1, rel=0.10)
    # And the schedule itself is a fair draw: the mean wait is rho S / 2 (1 - rho), Pollaczek 1930,
    # within sampling error.
    rho = rate * service
    assert np.mean(responses) / service == pytest.approx(1 + rho / (2 * (1 - rho)), rel=0.25)


def test_the_sent_times_of_a_poisson_step_are_poisson(tmp_path: Path) -> None:
    """At a mean gap of 10 ms, several times the slice that a busy kernel may keep the core for."""
    rate = 100
    with announced(*python("timed.py", "constant", "0")) as url, engine(url, tmp_path) as made:
        trial = made.run(step(rate, 8.0))
    samples = np.sort(np.fromfile(tmp_path / trial.samples, dtype=SAMPLE), order="due")
    sent = np.sort(samples["due"] + samples["lag"])
    assert stats.kstest(np.diff(sent) * rate, "expon").pvalue > 0.001
