"""The exceedance curve: the share of requests over a limit as a function of the rate, with its
doubt, from trials.

    ln(share) = ln(allowed) + s·(rate/K - 1), and never certain

For waits with an exponential tail, ln P(wait > L) = -c·L·(C - rate): linear in the rate, and
certainty at the capacity C (Kingman 1962), which is what the prior on the sharpness s says.
Exceedances come in bursts: a trial's count is a random number of bursts of random size, a compound
Poisson, so its variance grows with a power of its mean (Tweedie 1984), and its scale is learnt from
how the trials disagree, never taken as binomial. K and s are integrated over a grid, the scale
exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import PerSecond, Seconds, Share

Values: TypeAlias = NDArray[np.float64]

FITTED = frozenset(
    {Phase.COARSE, Phase.PASS, Phase.STAIRCASE}
)  # a ramp's trials are too short to be stationary
POWER = 1.5  # of Tweedie's family; read off simulated queues (1 is Poisson, 2 is gamma)
SLOPE, BEND = (
    1.0,
    0.3,
)  # of the slope that an exponential wait gives; less the further the capacity is from the knee,
SLOPE_SD, DOUBT = (
    0.15,
    0.2,
    # since then it is the service's own tail that breaks the limit, and the doubt (of ln s) is
    # greater
)
BLUNT = 0.06  # the capacity is not known well enough for C/K - 1 to be believed below this
BLIND, BLIND_SD = 9.0, 0.8  # sharpness when no capacity is known
ABRUPT, ABRUPT_SD = (
    50.0,
    0.6,
)  # and where requests are refused: nothing, then everything beyond a rate
ROOM, ROOM_SD = (
    0.25,
    1.2,
)  # of C/K - 1: a knee near the capacity or far below it are both surprising
SCALE = 60.0  # prior dispersion over binomial,
BURST = 0.8  # under arrivals that are typical of their rate
EVEN = 10.0  # a limiter refuses without bursts
SCALE_DF = 6.0  # which counts as this many trials
# of the allowed share: exceedances that are there at any rate and say nothing about the knee
FLOOR = 0.12
CEILING = 0.95
KEPT_UP, MOSTLY = 0.97, 0.5  # of the offered rate; and of the requests, late or refused
AT_ONCE = frozenset({"status", "connect", "reset", "protocol", "tls", "too_large"})
LEAST, MOST = (
    0.2,
    10.0,
    # of the allowed share: outside, a trial says little about the knee, and much about the line's
    # ends
)
TELLS = 0.02  # of the posterior: the least for which a trial must lie inside them to be fitted
SOFT = 4.0  # sharpness below which a knee is soft
# and from which it is sharp: how far the interval of the grid is to be trusted, found by
# simulation, differs
SHARP = 8.0
WIDEN_SOFT, WIDEN = 1.3, 0.95
_SLOPES = 21
_KNEES = 81


@dataclass(frozen=True, slots=True)
class Point:
    """One trial as the fit sees it: n requests at a rate, of which `exceed` were over the limit
    (imputed when aborted).
    """

    rate: PerSecond
    n: float
    exceed: float
    overloaded: bool = False

    @property
    def share(self) -> Share:
        return self.exceed / self.n


@dataclass(frozen=True, slots=True)
class Fit:
    """The fitted curve, and the knee where it crosses the criterion's share, with its interval at
    `confidence`.

    `sharpness` is d ln(share) / d ln(rate) at the knee, `phi` the dispersion of counts over
    binomial, `se` the standard error of ln(knee). The grid of (knee, slope, weight) is kept for the
    band.
    """

    criterion: Criterion
    knee: PerSecond
    low: PerSecond
    high: PerSecond
    slope: float
    phi: float
    se: float
    confidence: Share
    points: tuple[Point, ...]
    grid: tuple[Values, Values, Values] = field(repr=False, compare=False)

    @property
    def half_width(self) -> Share:
        """Half the interval's width as a share of the knee."""
        return (self.high - self.low) / (2 * self.knee)

    @property
    def sharpness(self) -> float:
        return self.slope

    def share_at(self, rate: PerSecond) -> Share:
        """The fitted share of requests over the limit at a rate."""
        return float(_curve(rate, np.array(self.knee), np.array(self.slope), self.criterion.share))

    def band(self, rate: PerSecond) -> tuple[Share, Share]:
        """The interval of `share_at` at the same confidence as the knee's."""
        knees, slopes, weight = self.grid
        low, high = _quantiles(
            _curve(rate, knees, slopes, self.criterion.share), weight, _tails(self.confidence)
        )
        return low, high


def logit(p: Share) -> float:
    """Log odds."""
    return math.log(p / (1 - p))


def _curve(rate: PerSecond | Values, knee: Values, slope: Values, share: Share) -> Values:
    late: Values = np.exp(
        np.clip(math.log(share) + slope * (rate / knee - 1), -30, math.log(CEILING))
    )
    return late


def points(
    trials: Iterable[Trial], criterion: Criterion, capacity: PerSecond | None = None
) -> tuple[Point, ...]:
    """The trials that may be fitted, as points. Invalid ones and those profiled or saturated on
    purpose never are.
    """
    found = []
    for trial in trials:
        count = trial.counts.get(criterion.name)
        if trial.invalid or trial.step.phase not in FITTED or count is None:
            continue
        if trial.overload:
            found.append(_aborted(trial, criterion, capacity))
        elif count.n:
            found.append(Point(trial.step.rate, count.n, count.exceed))
    return tuple(found)


def _aborted(trial: Trial, criterion: Criterion, capacity: PerSecond | None) -> Point:
    """An aborted trial counted whole, as if load had gone on: what waited at the abort, and while
    the queue drained.

    The backlog at the abort is about 1.5·r·L; until it is below r·L everybody is late, and it
    shrinks by C - r a second. Where requests failed rather than waited, what was counted is all
    there is to say.
    """
    count, rate = trial.counts[criterion.name], trial.step.rate
    if mostly_failures((trial,), criterion) or not math.isfinite(criterion.limit):
        return Point(rate, max(1, count.n), count.exceed, True)
    part = count.n / trial.n if trial.n else 1.0
    n = max(float(count.n), part * rate * (trial.step.duration - trial.step.settle))
    exceed = max(float(count.exceed), 0.3 * max(count.n, part * rate))
    spare = (capacity or 0.0) - rate
    exceed = exceed + part * rate * (0.5 * rate * criterion.limit + 5) / spare if spare > 0 else n
    return Point(rate, n, min(exceed, CEILING * n), True)


def mostly_failures(trials: Iterable[Trial], criterion: Criterion) -> bool:
    """Whether what exceeded a criterion did so by failing at once (refused, errors), not by being
    slow.
    """
    failed = exceed = 0
    for trial in trials:
        count = trial.counts.get(criterion.name)
        if count is not None and not trial.invalid and trial.step.phase in FITTED:
            failed += sum(many for outcome, many in trial.outcomes.items() if outcome in AT_ONCE)
            exceed += count.exceed
    return exceed > 0 and failed > 0.5 * exceed


def slope_at(
    knee: Values, criterion: Criterion, capacity: PerSecond | None, abrupt: bool = False
) -> tuple[Values, Values]:
    """Prior median of the slope at each knee and the sd of its logarithm: a straight line up to
    certainty at capacity.
    """
    if capacity is None or not math.isfinite(criterion.limit):
        steep, doubt = (ABRUPT, ABRUPT_SD) if abrupt else (BLIND, BLIND_SD)
        return np.full_like(knee, steep), np.full_like(knee, doubt)
    room = np.hypot(np.maximum(capacity / knee - 1, 0.0), BLUNT)
    middle = SLOPE / (1 + BEND * room) * max(0.7, -math.log(criterion.share)) / room
    return middle, SLOPE_SD + DOUBT * room / (1 + room)


def fit(
    seen: Sequence[Point],
    criterion: Criterion,
    capacity: PerSecond | None = None,
    confidence: Share = 0.95,
    abrupt: bool = False,
) -> Fit | None:
    """The curve through all points, on a grid that is refined where the weight lies; None when
    there are no points.
    """
    if not seen:
        return None
    low = math.log(0.5 * min(p.rate for p in seen))
    high = math.log(1.5 * max(p.rate for p in seen))
    telling = tuple(seen)
    for stage in range(3):
        knees = np.exp(np.linspace(low, high, _KNEES))
        weight, slopes, phi = _posterior(telling, criterion, capacity, knees, abrupt)
        cumulative = np.cumsum(weight.sum(axis=1))
        first, last = (int(np.searchsorted(cumulative, share)) for share in (1e-4, 1 - 1e-4))
        low, high = math.log(knees[max(0, first - 1)]), math.log(knees[min(_KNEES - 1, last + 1)])
        if stage == 0:
            telling = _telling(telling, criterion, knees, slopes, weight)
            low, high = low - 0.1, high + 0.1
    return _summary(telling, criterion, knees, slopes, weight, phi, confidence)


def scale_at(
    knee: Values, criterion: Criterion, capacity: PerSecond | None, abrupt: bool = False
) -> Values:
    """Prior dispersion of counts over binomial: how many requests one excursion of the queue makes
    late, times BURST.

    Above L the wait exceeds it by L/ln(1/share) on average, and the queue gains 1 - K/C seconds on
    it per second.
    """
    if capacity is None or not math.isfinite(criterion.limit):
        return np.full_like(knee, EVEN if abrupt else SCALE)
    spare = np.maximum(0.05, 1 - knee / capacity)
    return 1 + BURST * knee * criterion.limit / (max(0.7, -math.log(criterion.share)) * spare)


def _telling(
    seen: tuple[Point, ...], criterion: Criterion, knees: Values, slopes: Values, weight: Values
) -> tuple[Point, ...]:
    """The points that say something about the knee, wherever in the posterior it may be, and those
    that contradict its mode.
    """
    at = np.unravel_index(int(weight.argmax()), weight.shape)
    knee, slope, q = knees[at[0]], slopes[at], criterion.share
    top = min(MOST * q, 0.5 + 0.5 * q)
    kept = []
    for p in seen:
        mu = float(_curve(p.rate, knee, slope, q))
        shares = _curve(p.rate, knees[:, None], slopes, q)
        tells = float(weight[(LEAST * q <= shares) & (shares <= top)].sum()) >= TELLS
        if tells or (mu < LEAST * q and p.share > q) or (mu > top and p.share < top):
            kept.append(p)
    return tuple(kept) or tuple(seen)


def _posterior(
    seen: Sequence[Point],
    criterion: Criterion,
    capacity: PerSecond | None,
    knees: Values,
    abrupt: bool,
) -> tuple[Values, Values, Values]:
    """Weights (knees, slopes) that sum to 1, the slopes (same shape), and the dispersion at each
    (over binomial).
    """
    middle, sd = slope_at(knees, criterion, capacity, abrupt)
    steps = np.linspace(-3.0, 3.0, _SLOPES)
    slopes = middle[:, None] * np.exp(steps * sd[:, None])
    n = np.array([p.n for p in seen])
    y = np.array([p.share for p in seen])
    rates = np.array([p.rate for p in seen])
    q = criterion.share
    mu = np.maximum(_curve(rates, knees[:, None, None], slopes[:, :, None], q), FLOOR * q)
    binomial = (q * (1 - q)) ** (1 - POWER)
    deviance = (_deviance(y, mu) * n).sum(axis=2) / binomial
    scale = scale_at(knees, criterion, capacity, abrupt)[:, None]
    total = SCALE_DF * scale + deviance
    # A trial without bursts has probability exp(-deviance / 2 phi), with no 1/sqrt(phi): it says
    # nothing about their size.
    telling = float(np.minimum(1.0, y / q).sum())
    log_weight = (
        0.5 * SCALE_DF * np.log(scale) - 0.5 * (SCALE_DF + telling) * np.log(total) - 0.5 * steps**2
    )
    if capacity is not None:
        room = np.log(np.maximum(capacity / knees - 1, 0.01) / ROOM)
        log_weight = log_weight - 0.5 * (room / ROOM_SD)[:, None] ** 2
    weight = np.exp(log_weight - log_weight.max())
    phi = total / (SCALE_DF + max(1.0, telling - 2))
    return weight / weight.sum(), slopes, phi


def _deviance(y: Values, mu: Values) -> Values:
    """Unit deviance of Tweedie's family with power between 1 and 2 (Jørgensen 1997), for y >= 0 and
    mu > 0.
    """
    p = POWER
    unit: Values = 2 * (
        y ** (2 - p) / ((1 - p) * (2 - p)) - y * mu ** (1 - p) / (1 - p) + mu ** (2 - p) / (2 - p)
    )
    return unit


def _tails(confidence: Share) -> tuple[float, float]:
    return (0.5 - confidence / 2, 0.5 + confidence / 2)


def _quantiles(values: Values, weight: Values, shares: tuple[float, ...]) -> tuple[float, ...]:
    flat, mass = values.ravel(), weight.ravel()
    order = np.argsort(flat)
    cumulative = np.cumsum(mass[order])
    return tuple(
        float(np.interp(share * cumulative[-1], cumulative, flat[order])) for share in shares
    )


def _summary(
    seen: tuple[Point, ...],
    criterion: Criterion,
    knees: Values,
    slopes: Values,
    weight: Values,
    phi: Values,
    confidence: Share,
) -> Fit:
    marginal = weight.sum(axis=1)
    low, middle, high = _quantiles(
        np.log(knees), marginal, (_tails(confidence)[0], 0.5, _tails(confidence)[1])
    )
    mean = float(marginal @ np.log(knees))
    se = math.sqrt(max(1e-12, float(marginal @ (np.log(knees) - mean) ** 2)))
    every = np.broadcast_to(knees[:, None], slopes.shape)
    (slope,) = _quantiles(slopes, weight, (0.5,))
    widen = float(np.interp(slope, (SOFT, SHARP), (WIDEN_SOFT, WIDEN)))
    return Fit(
        criterion=criterion,
        knee=math.exp(middle),
        low=math.exp(middle + widen * (low - middle)),
        high=math.exp(middle + widen * (high - middle)),
        slope=slope,
        phi=float((phi * weight).sum()),
        se=se,
        confidence=confidence,
        points=seen,
        grid=(every, slopes, weight),
    )


def completions(burst: Trial) -> PerSecond | None:
    """Good answers per second of a saturated burst; None when the service kept up, so that it was
    not saturated.
    """
    refused = burst.outcomes.get("status", 0) / max(1.0, burst.seconds - burst.step.settle)
    late = max((count.share for count in burst.counts.values()), default=0.0)
    if burst.completed >= KEPT_UP * burst.step.rate and late < MOSTLY:
        return None
    return max(0.0, burst.completed - refused)


def capacity_seen(trials: Iterable[Trial]) -> PerSecond | None:
    """The capacity that the curve is held to: the saturated burst's, or what was completed in quiet
    if that is more.

    A service that collapses under saturation completes less there than it can. None when nothing
    saturated it.
    """
    saturated = quiet = 0.0
    for trial in trials:
        if trial.invalid:
            continue
        if trial.step.phase is Phase.CAPACITY:
            saturated = completions(trial) or saturated
        elif (
            trial.step.phase in FITTED
            and trial.n >= 200
            and all(c.share < 0.05 for c in trial.counts.values())
        ):
            quiet = max(quiet, 0.95 * trial.completed)
    return max(saturated, quiet) if saturated else None


def refit(trials: Iterable[Trial], criterion: Criterion) -> Fit | None:
    """The curve of stored trials, as the search fitted it: what the pictures draw."""
    trials = tuple(trials)
    abrupt = mostly_failures(trials, criterion)
    # A limiter has nothing to do with how fast the service is.
    capacity = None if abrupt else capacity_seen(trials)
    return fit(points(trials, criterion, capacity), criterion, capacity, abrupt=abrupt)


def load_for(
    precision: Share, phi: float, knee: PerSecond, sharpness: float, share: Share
) -> Seconds:
    """Seconds of load near the knee for a 95 % interval of ±`precision`: SE(ln K) = sqrt(phi /
    (share·K·T)) / sharpness.
    """
    seconds: float = phi / (share * knee) * (1.96 / (precision * sharpness)) ** 2
    return seconds
