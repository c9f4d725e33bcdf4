"""Against servers whose latencies are known from theory, the engine measures what theory says."""

from pathlib import Path

import numpy as np
import pytest

from perfhunt.model.latency import SAMPLE
from tests.live.load_targets.harness import announced, engine, python, step

pytestmark = pytest.mark.live


def test_a_second_of_stall_in_six_shows_in_the_percentiles_as_arithmetic_says(
    tmp_path: Path,
) -> None:
    """A sixth of arrivals wait for what is left of the stall, uniform on 0..1 s: P(R > t) = (1 -
    t)/6.
    """
    with announced(*python("timed.py", "stall")) as url, engine(url, tmp_path) as made:
        trial = made.run(step(100, 12.0, arrivals="uniform"))
    assert trial.n == 1200
    assert trial.response.p90 == pytest.approx(0.4, abs=0.05)
    assert trial.response.p95 == pytest.approx(0.7, abs=0.05)
    assert trial.response.p99 == pytest.approx(0.94, abs=0.05)
    assert trial.invalid == ""
    # Within the stalled seconds a row knows of the requests that are late without waiting for their
    # answers.
    assert (
        sum(row.exceed[0] for row in trial.rows)
        == trial.counts["latency.p99"].exceed
        == pytest.approx(120, abs=10)
    )


def test_a_constant_service_time_is_measured_as_that(tmp_path: Path) -> None:
    with announced(*python("timed.py", "constant", "0.02")) as url, engine(url, tmp_path) as made:
        trial = made.run(step(50, 3.0))
    assert trial.response.p50 is not None
    assert 0.0195 < trial.response.p50 < 0.0225
    samples = np.fromfile(tmp_path / trial.samples, dtype=SAMPLE)
    assert len(samples) == trial.n
    assert samples["service"].min() > 0.0195


def test_poisson_arrivals_at_one_constant_server_wait_as_pollaczek_and_khinchine_say(
    tmp_path: Path,
) -> None:
    """M/D/1, replayed from the actual arrivals: Lindley's recursion gives each request's own
    waiting time.
    """
    service = 0.01
    with (
        announced(*python("timed.py", "queue", str(service))) as url,
        engine(url, tmp_path) as made,
    ):
        trial = made.run(step(60, 8.0))
    samples = np.sort(np.fromfile(tmp_path / trial.samples, dtype=SAMPLE), order="due")
    free, expected = 0.0, []
    for due in samples["due"]:
        free = max(due, free) + service
        expected.append(free - due)
    assert trial.response.mean == pytest.approx(np.mean(expected), rel=0.10)
    # and the schedule itself is a fair draw: mean waiting time rho S / 2 (1 - rho), Pollaczek 1930,
    # within sampling error
    assert np.mean(expected) == pytest.approx(service + 0.6 * service / (2 * 0.4), rel=0.25)


def test_the_sent_times_of_a_poisson_step_are_poisson(tmp_path: Path) -> None:
    from scipy import stats

    with announced(*python("timed.py", "constant", "0")) as url, engine(url, tmp_path) as made:
        trial = made.run(step(400, 3.0))
    samples = np.sort(np.fromfile(tmp_path / trial.samples, dtype=SAMPLE), order="due")
    sent = np.sort(samples["due"] + samples["lag"])
    assert stats.kstest(np.diff(sent) * 400, "expon").pvalue > 0.001
