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

from perfhunt.analysis.knee.observed import mostly_failures, observed_capacity
from perfhunt.model.knee import FittedCurve
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import FITTED_PHASES, Trial
from perfhunt.model.units import PerSecond, Share

Values: TypeAlias = NDArray[np.float64]

# The power of Tweedie's family, between 1 (Poisson) and 2 (gamma): read off simulated queues.
POWER = 1.5

# The curve stays within these shares: no rate makes lateness certain, nor impossible.
CEILING: Share = 0.95
LOWEST_LOG = -30.0  # of the logarithm
# Of the allowed share: exceedances that are there at any rate and say nothing about the knee.
FLOOR: Share = 0.12

# The prior median of the slope is this multiple of what an exponential wait gives. It is less, and
# the sd of its logarithm greater, the further the capacity is from the knee, since then it is the
# service's own tail that breaks the limit. All four were read off simulated queues.
SLOPE, SLOPE_BEND = 1.0, 0.3
SLOPE_SD, SLOPE_SD_BEND = 0.15, 0.2
# The capacity is not known well enough for C/K - 1 to be believed below this.
BLUNT = 0.06
# Prior median and sd of ln(slope) when no capacity is known, and where requests are refused:
# nothing is over the limit then, and beyond a rate everything.
BLIND_SLOPE, BLIND_SD = 9.0, 0.8
ABRUPT_SLOPE, ABRUPT_SD = 50.0, 0.6
# Prior median of C/K - 1 and sd of its logarithm: a knee near the capacity and one far below it are
# both surprising.
ROOM, ROOM_SD = 0.25, 1.2

# Prior dispersion of counts over binomial.
BLIND_DISPERSION = 60.0  # where nothing is known of the queue
BURST = 0.8  # times an excursion's length, under arrivals that are typical of their rate
EVEN_DISPERSION = 10.0  # of a limiter, which refuses without bursts
DISPERSION_DF = 6.0  # trials that it counts as
# An exponential tail is taken to be no flatter than that of a median: -ln(0.5) = 0.69.
FLATTEST_TAIL = 0.7

# Multiples of the allowed share: outside, a trial says little about the knee, and much about the
# line's ends. The posterior must put at least this share of its weight inside for the trial to be
# fitted.
LEAST, MOST = 0.2, 10.0
TELLING: Share = 0.02

# A knee is soft below the first sharpness and sharp from the second. How far the grid's interval is
# to be trusted differs between the two: by how much it is widened was found by simulation.
SOFT, SHARP = 4.0, 8.0
WIDEN_SOFT, WIDEN_SHARP = 1.3, 0.95

# The grid: knees by slopes (within three sd of the prior).
GRID_KNEES, GRID_SLOPES = 81, 21
REFINEMENTS = 3  # grids: the knees of the second and third lie where the weight does
TAIL: Share = 1e-4  # of the weight on either side, which a refined grid leaves out
# Rates at which the curve is stored: a picture 600 pixels wide shows no corner between them.
CURVE_POINTS = 41


@dataclass(frozen=True, slots=True)
class FitPoint:
    """One trial as the fit takes it: n requests at a rate, of which `exceed` were over the limit
    (imputed when aborted).
    """

    rate: PerSecond
    n: float
    exceed: float

    @property
    def share(self) -> Share:
        return self.exceed / self.n


@dataclass(frozen=True, slots=True)
class CurvePrior:
    """What is believed of a curve before any trial: from the criterion, the capacity (None: not
    known), and whether requests are refused rather than late (`abrupt`).
    """

    criterion: Criterion
    capacity: PerSecond | None
    abrupt: bool = False

    @property
    def tail(self) -> float:
        """Mean waits that fit into the limit at the knee: ln(1 / share) of an exponential tail."""
        return max(FLATTEST_TAIL, -math.log(self.criterion.share))

    def slopes(self, knees: Values) -> tuple[Values, Values]:
        """Median of the slope at each knee and the sd of its logarithm: a straight line up to
        certainty at the capacity.
        """
        if self.capacity is None or not math.isfinite(self.criterion.limit):
            slope, sd = (ABRUPT_SLOPE, ABRUPT_SD) if self.abrupt else (BLIND_SLOPE, BLIND_SD)
            return np.full_like(knees, slope), np.full_like(knees, sd)
        room = np.hypot(np.maximum(self.capacity / knees - 1, 0.0), BLUNT)
        median = SLOPE / (1 + SLOPE_BEND * room) * self.tail / room
        return median, SLOPE_SD + SLOPE_SD_BEND * room / (1 + room)

    def dispersion(self, knees: Values) -> Values:
        """Dispersion of counts over binomial at each knee: how many requests one excursion of the
        queue makes late, times BURST.

        Above L the wait exceeds it by L/ln(1/share) on average, and the queue gains 1 - K/C seconds
        on it per second.
        """
        if self.capacity is None or not math.isfinite(self.criterion.limit):
            return np.full_like(knees, EVEN_DISPERSION if self.abrupt else BLIND_DISPERSION)
        spare = np.maximum(0.05, 1 - knees / self.capacity)
        return 1 + BURST * knees * self.criterion.limit / (self.tail * spare)

    def log_room(self, knees: Values) -> Values:
        """Log density of each knee by its distance from the capacity, up to a constant."""
        if self.capacity is None:
            return np.zeros_like(knees)
        room = np.log(np.maximum(self.capacity / knees - 1, 0.01) / ROOM)
        density: Values = -0.5 * (room / ROOM_SD) ** 2
        return density


@dataclass(frozen=True, slots=True)
class Posterior:
    """The grid with what the trials say of it: `knees` (n,); `slopes`, `weight` and `phi` (n, m).

    Weights sum to 1; `phi` is the dispersion of counts over binomial.
    """

    knees: Values
    slopes: Values
    weight: Values
    phi: Values

    @property
    def marginal(self) -> Values:
        """The weight of each knee."""
        weight: Values = self.weight.sum(axis=1)
        return weight


@dataclass(frozen=True, slots=True)
class KneeFit:
    """The fitted curve, and the knee where it crosses the criterion's share, with its interval at
    `confidence`.

    `sharpness` is d ln(share) / d ln(rate) at the knee, which is the curve's slope there; `phi` the
    dispersion of counts over binomial.
    """

    criterion: Criterion
    knee: PerSecond
    low: PerSecond
    high: PerSecond
    sharpness: float
    phi: float
    confidence: Share
    points: tuple[FitPoint, ...]
    posterior: Posterior = field(repr=False, compare=False)

    @property
    def half_width(self) -> Share:
        """Half the interval's width as a share of the knee."""
        return (self.high - self.low) / (2 * self.knee)

    def share_at(self, rate: PerSecond) -> Share:
        """The fitted share of requests over the limit at a rate."""
        knee, slope = np.array(self.knee), np.array(self.sharpness)
        return float(_curve(rate, knee, slope, self.criterion.share))

    def band(self, rate: PerSecond) -> tuple[Share, Share]:
        """The interval of `share_at` at the same confidence as the knee's."""
        grid, share = self.posterior, self.criterion.share
        shares = _curve(rate, grid.knees[:, None], grid.slopes, share)
        low, high = _quantiles(shares, grid.weight, _tails(self.confidence))
        return low, high

    def curve(self) -> FittedCurve:
        """The curve over the rates that the fitted trials reach, to five significant digits."""
        rates = [point.rate for point in self.points]
        grid = np.linspace(0.9 * min(rates), 1.05 * max(rates), CURVE_POINTS).tolist()
        bands = [self.band(rate) for rate in grid]
        return FittedCurve(
            rates=_rounded(grid),
            shares=_rounded(map(self.share_at, grid)),
            low=_rounded(low for low, _ in bands),
            high=_rounded(high for _, high in bands),
        )


def points(
    trials: Iterable[Trial], criterion: Criterion, capacity: PerSecond | None = None
) -> tuple[FitPoint, ...]:
    """The trials that may be fitted, as points. Invalid ones and those profiled or saturated on
    purpose never are.
    """
    fitted = []
    for trial in trials:
        count = trial.counts.get(criterion.name)
        if trial.invalid or trial.step.phase not in FITTED_PHASES or count is None:
            continue
        if trial.overload:
            fitted.append(_aborted(trial, criterion, capacity))
        elif count.n:
            fitted.append(FitPoint(trial.step.rate, count.n, count.exceed))
    return tuple(fitted)


def _aborted(trial: Trial, criterion: Criterion, capacity: PerSecond | None) -> FitPoint:
    """An aborted trial counted whole, as if load had gone on: what waited at the abort, and while
    the queue drained.

    The backlog at the abort is about 1.5·r·L; until it is below r·L everybody is late, and it
    shrinks by C - r a second. Where requests failed rather than waited, what was counted is all
    there is to say.
    """
    count, rate = trial.counts[criterion.name], trial.step.rate
    if mostly_failures((trial,), criterion) or not math.isfinite(criterion.limit):
        return FitPoint(rate, max(1, count.n), count.exceed)
    part = count.n / trial.n if trial.n else 1.0
    n = max(float(count.n), part * rate * (trial.step.duration - trial.step.settle))
    exceed = max(float(count.exceed), 0.3 * max(count.n, part * rate))
    spare = (capacity or 0.0) - rate
    exceed = exceed + part * rate * (0.5 * rate * criterion.limit + 5) / spare if spare > 0 else n
    return FitPoint(rate, n, min(exceed, CEILING * n))


def fit_trials(trials: Iterable[Trial], criterion: Criterion) -> KneeFit | None:
    """The curve of one criterion through all trials that may be fitted; None when none may."""
    trials = tuple(trials)
    abrupt = mostly_failures(trials, criterion)
    # A limiter has nothing to do with how fast the service is.
    capacity = None if abrupt else observed_capacity(trials)
    return fit(points(trials, criterion, capacity), criterion, capacity, abrupt=abrupt)


def fit(
    trial_points: Sequence[FitPoint],
    criterion: Criterion,
    capacity: PerSecond | None = None,
    confidence: Share = 0.95,
    abrupt: bool = False,
) -> KneeFit | None:
    """The curve through all points, on a grid that is refined where the weight lies; None when
    there are no points.
    """
    if not trial_points:
        return None
    prior, telling = CurvePrior(criterion, capacity, abrupt), tuple(trial_points)
    low = math.log(0.5 * min(p.rate for p in telling))
    high = math.log(1.5 * max(p.rate for p in telling))
    for refinement in range(REFINEMENTS):
        knees = np.exp(np.linspace(low, high, GRID_KNEES))
        posterior = _posterior(telling, prior, knees)
        low, high = _where_the_weight_lies(posterior)
        if refinement == 0:
            telling = _telling(telling, criterion.share, posterior)
            low, high = low - 0.1, high + 0.1
    return _summary(telling, criterion, posterior, confidence)


def _curve(rate: PerSecond | Values, knee: Values, slope: Values, share: Share) -> Values:
    log_share = math.log(share) + slope * (rate / knee - 1)
    late: Values = np.exp(np.clip(log_share, LOWEST_LOG, math.log(CEILING)))
    return late


def _where_the_weight_lies(posterior: Posterior) -> tuple[float, float]:
    """The logarithms of the knees between which all but the tails of the weight lies."""
    cumulative = np.cumsum(posterior.marginal)
    first, last = (int(np.searchsorted(cumulative, share)) for share in (TAIL, 1 - TAIL))
    knees = posterior.knees
    return math.log(knees[max(0, first - 1)]), math.log(knees[min(GRID_KNEES - 1, last + 1)])


def _telling(
    trial_points: tuple[FitPoint, ...], allowed: Share, posterior: Posterior
) -> tuple[FitPoint, ...]:
    """The points that say something about the knee, wherever in the posterior it may be, and those
    that contradict its mode.
    """
    knees, slopes, weight = posterior.knees, posterior.slopes, posterior.weight
    mode = np.unravel_index(int(weight.argmax()), weight.shape)
    least, most = LEAST * allowed, min(MOST * allowed, 0.5 + 0.5 * allowed)

    def tells(point: FitPoint) -> bool:
        shares = _curve(point.rate, knees[:, None], slopes, allowed)
        if float(weight[(least <= shares) & (shares <= most)].sum()) >= TELLING:
            return True
        expected = float(_curve(point.rate, knees[mode[0]], slopes[mode], allowed))
        late_too_soon = expected < least and point.share > allowed
        return late_too_soon or (expected > most and point.share < most)

    return tuple(filter(tells, trial_points)) or trial_points


def _posterior(trial_points: Sequence[FitPoint], prior: CurvePrior, knees: Values) -> Posterior:
    q = prior.criterion.share
    median, sd = prior.slopes(knees)
    deviates = np.linspace(-3.0, 3.0, GRID_SLOPES)
    slopes = median[:, None] * np.exp(deviates * sd[:, None])
    rates, n, shares = np.array([(p.rate, p.n, p.share) for p in trial_points]).T
    expected = np.maximum(_curve(rates, knees[:, None, None], slopes[:, :, None], q), FLOOR * q)
    binomial = (q * (1 - q)) ** (1 - POWER)
    deviance = (_deviance(shares, expected) * n).sum(axis=2) / binomial
    dispersion = prior.dispersion(knees)[:, None]
    total = DISPERSION_DF * dispersion + deviance
    # A trial without bursts has probability exp(-deviance / 2 phi), with no 1/sqrt(phi): it says
    # nothing about their size.
    bursts = float(np.minimum(1.0, shares / q).sum())
    log_weight = (
        0.5 * DISPERSION_DF * np.log(dispersion)
        - 0.5 * (DISPERSION_DF + bursts) * np.log(total)
        - 0.5 * deviates**2
        + prior.log_room(knees)[:, None]
    )
    weight = np.exp(log_weight - log_weight.max())
    phi = total / (DISPERSION_DF + max(1.0, bursts - 2))
    return Posterior(knees=knees, slopes=slopes, weight=weight / weight.sum(), phi=phi)


def _deviance(y: Values, mu: Values) -> Values:
    """Unit deviance of Tweedie's family with power between 1 and 2 (Jørgensen 1997), for y >= 0 and
    mu > 0. scipy does not have it.
    """
    p = POWER
    unit: Values = 2 * (
        y ** (2 - p) / ((1 - p) * (2 - p)) - y * mu ** (1 - p) / (1 - p) + mu ** (2 - p) / (2 - p)
    )
    return unit


def _summary(
    trial_points: tuple[FitPoint, ...],
    criterion: Criterion,
    posterior: Posterior,
    confidence: Share,
) -> KneeFit:
    below, above = _tails(confidence)
    low, middle, high = _quantiles(np.log(posterior.knees), posterior.marginal, (below, 0.5, above))
    (slope,) = _quantiles(posterior.slopes, posterior.weight, (0.5,))
    widen = float(np.interp(slope, (SOFT, SHARP), (WIDEN_SOFT, WIDEN_SHARP)))
    return KneeFit(
        criterion=criterion,
        knee=math.exp(middle),
        low=math.exp(middle + widen * (low - middle)),
        high=math.exp(middle + widen * (high - middle)),
        sharpness=slope,
        phi=float((posterior.phi * posterior.weight).sum()),
        confidence=confidence,
        points=trial_points,
        posterior=posterior,
    )


def _tails(confidence: Share) -> tuple[float, float]:
    return (0.5 - confidence / 2, 0.5 + confidence / 2)


def _quantiles(values: Values, weight: Values, shares: tuple[float, ...]) -> tuple[float, ...]:
    """Weighted quantiles, linear between the values; numpy's do not interpolate under weights."""
    flat, mass = values.ravel(), weight.ravel()
    order = np.argsort(flat)
    cumulative = np.cumsum(mass[order])
    return tuple(
        float(np.interp(share * cumulative[-1], cumulative, flat[order])) for share in shares
    )


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(f"{value:.5g}") for value in values)
