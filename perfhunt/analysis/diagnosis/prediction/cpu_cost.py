"""What one more request costs in CPU, from every load that was tried.

CPU per request falls with load: a thread that sleeps between requests pays for waking up, and a
core that was idle begins cold. So a mean at a low rate says too much of a high one. The slope of
the CPU in use over the rate leaves out what is used at any rate; how the cost falls with the use of
a core says what may be left of it when that core is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from perfhunt.analysis.blame.reading import EvidenceReading
from perfhunt.analysis.trial.probe import CPU_KNOWN, CPU_UNCERTAIN
from perfhunt.model.interval import Interval
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import Cores, PerSecond, Seconds, Share

_CONFIDENCE: Share = 0.95
_NORMAL = float(stats.norm.ppf(0.5 + _CONFIDENCE / 2))
# Rates that a slope is drawn through at least, and the highest over the lowest: nearer ones tell
# noise from slope no better than the mean at the knee does.
_FEWEST_RATES = 3
_SPREAD = 1.5
# Of the rate at the knee: what a request costs falls with load, and hardly from here on.
_NEAR: Share = 0.8
# How much more a request may cost on a core that is idle before it than on a full one (standard
# deviation, as a share): what trials that tell little of it are held against.
_COLD: Share = 0.3
# The least that a full core leaves of a cost: no service was seen to fall further.
_LEAST_LEFT: Share = 0.5
# Loads that were neither watched by a profiler nor saturated.
_UNWATCHED = frozenset(
    {
        Phase.BASELINE,
        Phase.RAMP,
        Phase.COARSE,
        Phase.PASS,
        Phase.REFERENCE,
        Phase.STAIRCASE,
        Phase.QUIET,
        Phase.FIXED,
    }
)


@dataclass(frozen=True, slots=True)
class CpuCost:
    """CPU seconds of one more request: `now`, at the loads that were tried, and `saturated`, where
    the cores they run on are full. `fixed` is used at any rate.
    """

    now: Interval
    saturated: Interval
    fixed: Cores = 0.0


@dataclass(frozen=True, slots=True)
class CpuAtRate:
    """CPU in use at a rate, over so many seconds."""

    rate: PerSecond
    cpu: Cores
    seconds: Seconds


def cpu_uses(trials: Sequence[Trial]) -> tuple[CpuAtRate, ...]:
    """What the target used at every load that can be believed."""
    return tuple(
        CpuAtRate(t.completed, t.resources.cpu, t.resources.seconds)
        for t in trials
        if t.resources is not None
        and t.resources.cpu is not None
        and t.resources.seconds > 0
        and t.completed > 0
        and t.step.phase in _UNWATCHED
        and not (t.invalid or t.overload)
    )


def cpu_cost(reading: EvidenceReading, trials: Sequence[Trial], serial: Cores) -> CpuCost | None:
    """The cost of a request in CPU, of a service that runs on `serial` cores at most; None when the
    CPU it uses is not known. Profilers take some at the knee, so the loads without them say more.
    """
    watched, uses = reading.knee.cpu_per_request, cpu_uses(trials)
    if not watched:
        return None
    near = [u.cpu / u.rate for u in uses if u.rate >= _NEAR * reading.knee.span.completed]
    return cost_of(uses, fmean(near) if near else watched, serial)


def cost_of(uses: Sequence[CpuAtRate], mean: Seconds, serial: Cores) -> CpuCost:
    """The same, from the uses; from the `mean` at the knee where there are too few."""
    rates = sorted(use.rate for use in uses)
    enough = len({round(rate, 3) for rate in rates}) >= _FEWEST_RATES
    if not enough or rates[-1] < _SPREAD * rates[0]:
        reach = _NORMAL * CPU_UNCERTAIN * mean
        known = Interval(mean, mean - reach, mean + reach, 1)
        return CpuCost(known, known)
    now, fixed = _slope(uses)
    return CpuCost(now, _saturated(uses, now, serial), fixed)


def _slope(uses: Sequence[CpuAtRate]) -> tuple[Interval, Cores]:
    """CPU over rate as a line that does not begin below 0: its slope, and where it begins."""
    rate, cpu = np.array([u.rate for u in uses]), np.array([u.cpu for u in uses])
    # The CPU of n like requests varies as n does, so its variance over T seconds as rate / T.
    weight = np.array([u.seconds / u.rate for u in uses])
    fit = _fitted(np.stack([np.ones_like(rate), rate], axis=1), cpu, weight)
    if fit[0][0] >= 0 and fit[0][1] > 0:
        return _interval(float(fit[0][1]), float(fit[1][1]), len(uses) - 2), float(fit[0][0])
    fit = _fitted(rate[:, None], cpu, weight)
    return _interval(float(fit[0][0]), float(fit[1][0]), len(uses) - 1), 0.0


def _saturated(uses: Sequence[CpuAtRate], now: Interval, serial: Cores) -> Interval:
    """The cost where the cores are full: less by as much as it falls with their use, from the
    highest use that was tried. How fast it falls is what the trials show, as far as that stands
    out of their noise (a normal prior that expects no fall).
    """
    cost = np.array([u.cpu / u.rate for u in uses])
    idle = 1.0 - np.minimum(1.0, np.array([u.cpu for u in uses]) / serial)
    weight = np.array([u.seconds * u.rate for u in uses])
    (_, falls), (_, unsure) = _fitted(np.stack([np.ones_like(idle), idle], axis=1), cost, weight)
    spread, error = _COLD * now.value, float(unsure)
    trust = spread**2 / (spread**2 + error**2)
    fall = max(0.0, trust * float(falls))
    left = float(idle.min())
    least = _LEAST_LEFT * now.value
    value = max(least, now.value - left * fall)
    doubt = _NORMAL * left * spread * sqrt(1.0 - trust)
    low = max(least, value - sqrt((now.value - now.low) ** 2 + doubt**2))
    high = min(now.high, value + sqrt((now.high - now.value) ** 2 + doubt**2))
    return Interval(value, low, high, now.n)


def _fitted(
    of: NDArray[np.float64], values: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted least squares: the parameters and their standard errors, from the residuals and what
    is known of such residuals; shapes (parameters,).
    """
    normal = np.linalg.pinv(of.T @ (weight[:, None] * of))
    found = normal @ (of.T @ (weight * values))
    residual = float(weight @ (values - of @ found) ** 2)
    expected = float(weight @ (CPU_UNCERTAIN * values) ** 2) / len(values)
    freedom = CPU_KNOWN + len(values) - of.shape[1]
    return found, np.sqrt(np.diag(normal) * (residual + CPU_KNOWN * expected) / freedom)


def _interval(value: float, error: float, spare: int) -> Interval:
    reach = float(stats.t.ppf(0.5 + _CONFIDENCE / 2, CPU_KNOWN + spare)) * error
    return Interval(value, max(0.0, value - reach), value + reach, spare)
