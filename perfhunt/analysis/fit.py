"""The exceedance curve: the share of requests over a limit as a function of the rate, with its doubt, from trials.

A quasi-likelihood fit (Wedderburn 1974) with a logit link that is linear in the rate: for waits with an exponential tail,
ln P(wait > L) = -c·L·(C - rate), which is linear in the rate and reaches 1 at the capacity C (Kingman 1962). Exceedances
come in bursts, so their variance is estimated from how trials disagree, never taken as binomial.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import PerSecond, Seconds, Share

Values: TypeAlias = NDArray[np.float64]

FITTED = frozenset({Phase.RAMP, Phase.COARSE, Phase.PASS, Phase.STAIRCASE, Phase.BASELINE})
POWER = 1.4  # variance of a share ~ (p(1-p))^POWER / n: between Poisson (1) and gamma (2); read off simulated queues
SLOPE = 0.8  # of the slope that an exponential wait gives; heavy service tails flatten it
SLOPE_SD = 0.35
BLIND_SLOPE, BLIND_SD = 9.0, 15.0  # when no capacity is known
PHI_DF = 3.0  # the prior on dispersion counts as this many trials
PHI = 30.0
WIDEN = 1.0


@dataclass(frozen=True, slots=True)
class Point:
    """One trial as the fit sees it: n requests at a rate, of which `exceed` were over the limit (imputed when aborted)."""

    rate: PerSecond
    n: float
    exceed: float
    overloaded: bool

    @property
    def share(self) -> Share:
        return self.exceed / self.n


@dataclass(frozen=True, slots=True)
class Fit:
    """The fitted curve, logit(share) = a + b·(rate/centre - 1), and the knee where it crosses the criterion's share.

    `se` is the standard error of ln(knee), `factor` the quantile it is multiplied by; `phi` the dispersion over binomial.
    """

    criterion: Criterion
    centre: PerSecond
    a: float
    b: float
    covariance: tuple[float, float, float]  # var(a), cov(a, b), var(b)
    phi: float
    knee: PerSecond
    se: float
    factor: float
    points: tuple[Point, ...]

    @property
    def low(self) -> PerSecond:
        return self.knee * math.exp(-self.factor * self.se)

    @property
    def high(self) -> PerSecond:
        return self.knee * math.exp(self.factor * self.se)

    @property
    def half_width(self) -> Share:
        """Half the interval's width as a share of the knee."""
        return math.sinh(self.factor * self.se)

    @property
    def sharpness(self) -> float:
        """d ln(share) / d ln(rate) at the knee."""
        return self.b * self.knee / self.centre * (1 - self.criterion.share)

    def share_at(self, rate: PerSecond) -> Share:
        """The fitted share of requests over the limit at a rate."""
        return _logistic(self.a + self.b * (rate / self.centre - 1))

    def band(self, rate: PerSecond) -> tuple[Share, Share]:
        """The interval of `share_at` at the same confidence as the knee's."""
        z = rate / self.centre - 1
        var_a, cov, var_b = self.covariance
        half = self.factor * math.sqrt(max(0.0, var_a + 2 * z * cov + z * z * var_b))
        eta = self.a + self.b * z
        return _logistic(eta - half), _logistic(eta + half)


def logit(p: Share) -> float:
    """Log odds."""
    return math.log(p / (1 - p))


def _logistic(eta: float) -> Share:
    return 1 / (1 + math.exp(-max(-40.0, min(40.0, eta))))


def points(trials: Iterable[Trial], criterion: Criterion, capacity: PerSecond | None = None) -> tuple[Point, ...]:
    """The trials that may be fitted, as points. Invalid ones and those profiled or saturated on purpose never are."""
    found = []
    for trial in trials:
        count = trial.counts.get(criterion.name)
        if trial.invalid or trial.step.phase not in FITTED or count is None:
            continue
        if trial.overload:
            found.append(_aborted(trial, criterion, capacity))
        elif count.n:
            found.append(Point(trial.step.rate, count.n, count.exceed, False))
    return tuple(found)


def _aborted(trial: Trial, criterion: Criterion, capacity: PerSecond | None) -> Point:
    """An aborted trial counted whole, as if load had gone on: what waited at the abort, and while the queue drained.

    The backlog at the abort is about 1.5·r·L; until it is below r·L everybody is late, and it shrinks by C - r a second.
    """
    count, rate = trial.counts[criterion.name], trial.step.rate
    n = max(float(count.n), rate * (trial.step.duration - trial.step.settle))
    exceed = max(float(count.exceed), 0.3 * max(count.n, rate))
    spare = (capacity or 0.0) - rate
    if spare > 0 and math.isfinite(criterion.limit):
        exceed += rate * (0.5 * rate * criterion.limit + 5) / spare
    else:
        exceed = 0.9 * n
    return Point(rate, n, min(exceed, 0.9 * n), True)


def slope_prior(criterion: Criterion, knee: PerSecond, capacity: PerSecond | None) -> tuple[float, float]:
    """Mean and standard deviation of b: a straight line in the rate from the criterion's share to certainty at capacity."""
    if capacity is None or not math.isfinite(criterion.limit):
        return BLIND_SLOPE, BLIND_SD
    room = max(0.03, capacity / knee - 1)
    mean = SLOPE * max(0.7, -math.log(criterion.share)) / room
    return mean, SLOPE_SD * mean


def fit(
    seen: Sequence[Point], criterion: Criterion, guess: PerSecond, capacity: PerSecond | None = None, confidence: Share = 0.95
) -> Fit | None:
    """The curve near `guess`, refitted around each new estimate until it stays; None when no point is near it."""
    found: Fit | None = None
    for _ in range(5):
        mean, sd = slope_prior(criterion, guess, capacity)
        slope = found.b if found else mean
        near = [p for p in seen if 1 - 2.5 / slope - 0.05 <= p.rate / guess <= 1 + 3.0 / slope + 0.03]
        if not near:
            return found
        found = _fit(tuple(near), criterion, guess, (mean, sd), confidence)
        moved = max(0.8, min(1.25, found.knee / guess))
        guess *= moved
        if abs(moved - 1) < 0.005:
            break
    return found


def _fit(near: tuple[Point, ...], criterion: Criterion, centre: PerSecond, prior: tuple[float, float], confidence: Share) -> Fit:
    z = np.array([p.rate / centre - 1 for p in near])
    n = np.array([p.n for p in near])
    y = np.array([p.share for p in near])
    design = np.column_stack([np.ones_like(z), z])
    beta = np.array([logit(criterion.share), prior[0]])
    phi = PHI
    for _ in range(30):
        eta = np.clip(design @ beta, -14, 8)
        p = 1 / (1 + np.exp(-eta))
        v = p * (1 - p)
        weight = n * v ** (2 - POWER) / phi
        penalty = np.diag([1e-4, 1 / prior[1] ** 2])
        working = eta + np.clip((y - p) / v, -3, 3)
        bread = np.linalg.inv((design.T * weight) @ design + penalty)
        after = bread @ (design.T @ (weight * working) + penalty @ np.array([beta[0], prior[0]]))
        pearson = float((n * (y - p) ** 2 / v**POWER).sum())
        phi = _dispersion(pearson, len(near), criterion)
        step = np.clip(after - beta, [-1.0, -0.5 * prior[0]], [1.0, 0.5 * prior[0]])
        beta = beta + step
        beta[1] = max(beta[1], 0.3)
        if float(np.abs(step).max()) < 1e-6:
            break
    covariance = _robust(design, weight, working - eta, bread, penalty)
    return _crossing(near, criterion, centre, beta, covariance, phi, confidence)


def _dispersion(pearson: float, trials: int, criterion: Criterion) -> float:
    """Scale of the variance function, shrunk to what queues show: with few trials their agreement proves little."""
    v = criterion.share * (1 - criterion.share)
    floor: float = v ** (1 - POWER)  # binomial at the knee
    shrunk = (PHI_DF * PHI * floor + pearson) / (PHI_DF + max(0, trials - 2))
    return max(floor, shrunk)


def _robust(design: Values, weight: Values, residual: Values, bread: Values, penalty: Values) -> Values:
    """The larger of the model's covariance and the HC3 sandwich (MacKinnon & White 1985), element by diagonal element."""
    leverage = np.einsum("ij,jk,ik->i", design, bread, design) * weight
    score = weight * residual / np.clip(1 - leverage, 0.2, 1.0)
    meat = (design.T * score**2) @ design + penalty
    sandwich = bread @ meat @ bread
    scale = np.sqrt(np.maximum(1.0, np.diag(bread) / np.diag(sandwich)))
    wider: Values = sandwich * np.outer(scale, scale)
    return wider


def _crossing(
    near: tuple[Point, ...],
    criterion: Criterion,
    centre: PerSecond,
    beta: Values,
    covariance: Values,
    phi: float,
    confidence: Share,
) -> Fit:
    a, b = float(beta[0]), float(beta[1])
    z = max(-0.6, min(1.5, (logit(criterion.share) - a) / b))
    var = float(covariance[0, 0] + 2 * z * covariance[0, 1] + z * z * covariance[1, 1])
    se = math.sqrt(max(var, 1e-12)) / (b * (1 + z))
    df = max(1.0, len(near) - 2 + PHI_DF)
    v = criterion.share * (1 - criterion.share)
    return Fit(
        criterion=criterion,
        centre=centre,
        a=a,
        b=b,
        covariance=(float(covariance[0, 0]), float(covariance[0, 1]), float(covariance[1, 1])),
        phi=phi * v ** (POWER - 1),
        knee=centre * (1 + z),
        se=se,
        factor=WIDEN * float(student.ppf(0.5 + confidence / 2, df)),
        points=near,
    )


def refit(trials: Iterable[Trial], criterion: Criterion, guess: PerSecond, capacity: PerSecond | None = None) -> Fit | None:
    """The curve of stored trials near a known knee, as the search fitted it: what the pictures draw."""
    return fit(points(trials, criterion, capacity), criterion, guess, capacity)


def load_for(precision: Share, phi: float, knee: PerSecond, sharpness: float, share: Share) -> Seconds:
    """Seconds of load near the knee for a 95 % interval of ±`precision`: SE(ln K) = sqrt(phi / (share·K·T)) / sharpness."""
    seconds: float = phi / (share * knee) * (1.96 / (precision * sharpness)) ** 2
    return seconds
