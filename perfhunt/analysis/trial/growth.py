"""What grows with the requests a service has served: latency alone hides a leak that ends the
service after a day.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from perfhunt.model.interval import Interval
from perfhunt.model.knee import Growing, Slope
from perfhunt.model.trial import Phase, Trial, served_at, steady_trials
from perfhunt.model.units import PerSecond, Share

THOUSAND = 1000.0  # requests: what a slope is told per
FEWEST = 3  # changes from one trial to the next: two say nothing of their own scatter
CONFIDENCE: Share = 0.99  # several are looked at in every run


def slopes(history: Sequence[Trial]) -> tuple[Slope, ...]:
    """The slope of everything that was measured often enough; `history` is every trial since the
    run began, in order.

    Memory is read after every trial since the service was first driven to its limit, the rest only
    where one load was asked again.
    """
    return tuple(slope for slope in map(_slope_of, *zip(*_series(history), strict=True)) if slope)


def watched_rate(history: Sequence[Trial]) -> PerSecond | None:
    """The rate of the load that was asked again and again; None when none was."""
    steady = steady_trials(history)
    return steady[0].step.rate if steady else None


def _series(history: Sequence[Trial]) -> Iterator[tuple[Growing, list[tuple[float, float]]]]:
    aged = list(zip((at / THOUSAND for at in served_at(history)), history, strict=True))
    same = set(map(id, steady_trials(history)))
    steady = [(age, trial) for age, trial in aged if id(trial) in same]
    yield Growing.LATENCY, [(age, t.response.p50) for age, t in steady if t.response.p50]
    yield Growing.CPU, [(age, cpu) for age, t in steady if (cpu := _cpu_per_request(t)) is not None]
    yield Growing.RSS, [(age, rss) for age, t in _stretched(aged) if (rss := _rss(t)) is not None]
    used = [(age, t.resources) for age, t in steady if t.resources is not None]
    yield Growing.FDS, [(age, float(u.fds)) for age, u in used if u.fds is not None]
    yield Growing.THREADS, [(age, float(u.threads)) for age, u in used if u.threads is not None]


def _stretched(aged: Sequence[tuple[float, Trial]]) -> Sequence[tuple[float, Trial]]:
    """The trials of a soak, else those since the heaviest load: before it, each heavier one takes
    memory that the allocator keeps.
    """
    if len(soaked := [(age, t) for age, t in aged if t.step.phase is Phase.SOAK]) > FEWEST:
        return soaked
    busiest = max((trial.step.rate for _, trial in aged), default=0.0)
    first = next((i for i, (_, trial) in enumerate(aged) if trial.step.rate >= busiest), 0)
    return aged[first:]


def _cpu_per_request(trial: Trial) -> float | None:
    used, sent = trial.resources, trial.achieved * trial.seconds
    return None if used is None or used.cpu_seconds is None or not sent else used.cpu_seconds / sent


def _rss(trial: Trial) -> float | None:
    used = trial.resources
    return None if used is None or used.rss is None else float(used.rss)


def _slope_of(of: Growing, series: list[tuple[float, float]]) -> Slope | None:
    if len(series) <= FEWEST:
        return None
    changes = np.diff(np.array(series), axis=0)
    if not changes[:, 0].sum() > 0:
        return None
    return Slope(of, _mean_change(changes), series[-1][1])


def _mean_change(changes: NDArray[np.float64]) -> Interval:
    """Growth per thousand requests as the ratio of the sums of changes (shape (n, 2): thousands of
    requests, growth), by Cochran 1977, section 6.4: what is left over may wander, so each step is
    an observation and each level is not.
    """
    n = len(changes)
    requests, growth = changes.sum(axis=0)
    value = float(growth / requests)
    residuals = changes[:, 1] - value * changes[:, 0]
    error = math.sqrt(n * float((residuals**2).sum()) / (n - 1)) / float(requests)
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1)) * error
    return Interval(value=value, low=value - half, high=value + half, n=n, confidence=CONFIDENCE)
