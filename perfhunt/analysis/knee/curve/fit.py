"""The exceedance curve fitted to trials: the share of requests over a limit as a function of the
rate, and the knee where it crosses what is allowed, with its doubt.

Exceedances come in bursts: a trial's count is a random number of bursts of random size, a compound
Poisson, so its variance grows with a power of its mean (Tweedie 1984), and its scale is learnt from
how the trials disagree, never taken as binomial. The knee, the slope and the shape of the curve are
integrated over a grid, the scale exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from perfhunt.analysis.knee.curve.points import FitPoint, points
from perfhunt.analysis.knee.curve.shapes import CurvePrior, Shape, Values, sharpness
from perfhunt.analysis.knee.observed import mostly_failures, observed_capacity
from perfhunt.model.knee import FittedCurve
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Trial
from perfhunt.model.units import PerSecond, Share

# The power of Tweedie's family, between 1 (Poisson) and 2 (gamma): read off simulated queues.
POWER = 1.5
# Of the allowed share: exceedances that are there at any rate and say nothing about the knee.
FLOOR: Share = 0.12
# The prior dispersion of counts counts as this many trials.
DISPERSION_DF = 6.0

# Multiples of the allowed share: outside, a trial says little about the knee, and much about the
# line's ends. The posterior must put at least this share of its weight inside for the trial to be
# fitted.
LEAST, MOST = 0.2, 10.0
TELLING: Share = 0.02

# A knee is soft below the first sharpness and sharp from the second. How far the grid's interval is
# to be trusted differs between the two: by how much it is widened was found by simulation.
SOFT, SHARP = 4.0, 8.0
WIDEN_SOFT, WIDEN_SHARP = 1.3, 0.95

# Neighbouring trials are alike by chance up to so many standard errors of a correlation; fewer
# trials than the second tell nothing, and beyond the third the error itself is not known.
CHANCE_ALIKE, FEWEST_ALIKE, MOST_ALIKE = 2.0, 8, 0.8

# The grid: knees by slopes (within three sd of the prior) of every
# shape.
GRID_KNEES, GRID_SLOPES = 81, 21
REFINEMENTS = 3  # grids: the knees of the second and third lie where the weight does
TAIL: Share = 1e-4  # of the weight on either side, which a refined grid leaves out
# Rates at which the curve is stored: a picture 600 pixels wide shows no corner between them.
CURVE_POINTS = 41


@dataclass(frozen=True, slots=True)
class Posterior:
    """The grid with what the trials say of it: `knees` (n,); `shapes` of (n, m) each; `weight`,
    `phi` and `sharpness` (n, shapes x m), in the order of the shapes.

    Weights sum to 1; `evidence` is the logarithm of what they summed to, up to a constant of the
    trials' number; `phi` is the dispersion of counts over binomial, `sharpness` d ln(share) / d
    ln(rate) at the knee.
    """

    prior: CurvePrior
    knees: Values
    shapes: tuple[Shape, ...]
    weight: Values
    phi: Values
    sharpness: Values
    evidence: float

    @property
    def marginal(self) -> Values:
        """The weight of each knee."""
        weight: Values = self.weight.sum(axis=1)
        return weight

    @property
    def level(self) -> Share | None:
        """The share of the traffic that breaks first, weighted over the shapes of a part; None
        where it is likelier the whole.
        """
        columns = np.cumsum([0, *(shape.slopes.shape[1] for shape in self.shapes)])
        weights = np.add.reduceat(self.weight.sum(axis=0), columns[:-1])
        if weights[0] >= weights[1:].sum():
            return None
        levels = [shape.level or 0.0 for shape in self.shapes]
        return float(weights[1:] @ np.array(levels[1:]) / weights[1:].sum())

    def shares_at(self, rate: PerSecond) -> Values:
        """The share over the limit at a rate, all over the grid."""
        shares = [self.prior.shares_at(rate, self.knees, shape) for shape in self.shapes]
        return np.concatenate(shares, axis=1)


@dataclass(frozen=True, slots=True)
class KneeFit:
    """The fitted curve, and the knee where it crosses the criterion's share, with its interval at
    `confidence`.

    `sharpness` is d ln(share) / d ln(rate) at the knee; `phi` the dispersion of counts over
    binomial.
    """

    criterion: Criterion
    knee: PerSecond
    low: PerSecond
    high: PerSecond
    sharpness: float
    phi: float
    confidence: Share
    part: Share | None  # of the traffic, where it breaks first and the rest does not follow
    points: tuple[FitPoint, ...]
    posterior: Posterior = field(repr=False, compare=False)

    @property
    def half_width(self) -> Share:
        """Half the interval's width as a share of the knee."""
        return (self.high - self.low) / (2 * self.knee)

    def share_at(self, rate: PerSecond) -> Share:
        """The fitted share of requests over the limit at a rate: the curve of the likelier shape
        that crosses what is allowed at the knee, as sharply as there.
        """
        prior = self.posterior.prior
        return prior.share_at(rate, self.knee, self.sharpness, self.part)

    def band(self, rate: PerSecond) -> tuple[Share, Share]:
        """The interval of `share_at` at the same confidence as the knee's."""
        grid = self.posterior
        low, high = weighted_quantiles(grid.shares_at(rate), grid.weight, _tails(self.confidence))
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


def fit_trials(
    trials: Iterable[Trial], criterion: Criterion, parts: bool = False
) -> KneeFit | None:
    """The curve of one criterion through all trials that may be fitted; None when none may.

    `parts`: it may be that only a part of the traffic breaks.
    """
    trials = tuple(trials)
    abrupt = mostly_failures(trials, criterion)
    # A limiter has nothing to do with how fast the service is.
    capacity = None if abrupt else observed_capacity(trials)
    trial_points = points(trials, criterion, capacity)
    return fit(trial_points, criterion, capacity, abrupt=abrupt, parts=parts)


def fit(
    trial_points: Sequence[FitPoint],
    criterion: Criterion,
    capacity: PerSecond | None = None,
    confidence: Share = 0.95,
    abrupt: bool = False,
    parts: bool = False,
) -> KneeFit | None:
    """The curve through all points, on a grid that is refined where the weight lies; None when
    there are no points.
    """
    if not trial_points:
        return None
    prior, telling = CurvePrior(criterion, capacity, abrupt, parts), tuple(trial_points)
    knees = _first_grid(telling)
    for refinement in range(REFINEMENTS):
        posterior = posterior_of(telling, prior, knees)
        low, high = _where_the_weight_lies(posterior)
        if refinement == 0:
            telling = _telling(telling, criterion.share, posterior)
            low, high = low - 0.1, high + 0.1
        knees = np.exp(np.linspace(low, high, GRID_KNEES))
    return _summary(telling, criterion, posterior, confidence)


def _where_the_weight_lies(posterior: Posterior) -> tuple[float, float]:
    """The logarithms of the knees between which all but the tails of the weight lies."""
    cumulative = np.cumsum(posterior.marginal)
    first, last = (int(np.searchsorted(cumulative, share)) for share in (TAIL, 1 - TAIL))
    knees = posterior.knees
    return math.log(knees[max(0, first - 1)]), math.log(knees[min(GRID_KNEES - 1, last + 1)])


def telling_points(trial_points: tuple[FitPoint, ...], prior: CurvePrior) -> tuple[FitPoint, ...]:
    """The points that the last refinement of a fit would be of."""
    posterior = posterior_of(trial_points, prior, _first_grid(trial_points))
    return _telling(trial_points, prior.criterion.share, posterior)


def _first_grid(trial_points: Sequence[FitPoint]) -> Values:
    rates = [point.rate for point in trial_points]
    return np.exp(np.linspace(math.log(0.5 * min(rates)), math.log(1.5 * max(rates)), GRID_KNEES))


def _telling(
    trial_points: tuple[FitPoint, ...], allowed: Share, posterior: Posterior
) -> tuple[FitPoint, ...]:
    """The points that say something about the knee, wherever in the posterior it may be, and those
    that contradict its mode.
    """
    weight = posterior.weight
    mode = np.unravel_index(int(weight.argmax()), weight.shape)
    least, most = LEAST * allowed, min(MOST * allowed, 0.5 + 0.5 * allowed)

    def tells(point: FitPoint) -> bool:
        shares = posterior.shares_at(point.rate)
        if float(weight[(least <= shares) & (shares <= most)].sum()) >= TELLING:
            return True
        expected = float(shares[mode])
        late_too_soon = expected < least and point.share > allowed
        return late_too_soon or (expected > most and point.share < most)

    return tuple(filter(tells, trial_points)) or trial_points


def posterior_of(trial_points: Sequence[FitPoint], prior: CurvePrior, knees: Values) -> Posterior:
    """What the points say of every knee, slope and shape on a grid."""
    allowed = prior.criterion.share
    shapes = prior.shapes(knees, np.linspace(-3.0, 3.0, GRID_SLOPES))
    # A trial without bursts has probability exp(-deviance / 2 phi), with no 1/sqrt(phi): it says
    # nothing about their size.
    bursts = sum(min(1.0, point.share / allowed) for point in trial_points)
    dispersion = np.concatenate([shape.dispersion for shape in shapes], axis=1)
    log_prior = np.concatenate([shape.log_prior for shape in shapes], axis=1)
    deviance = [_misfit(trial_points, prior, knees, shape) for shape in shapes]
    total = DISPERSION_DF * dispersion + np.concatenate(deviance, axis=1)
    log_weight = (
        0.5 * DISPERSION_DF * np.log(dispersion)
        - 0.5 * (DISPERSION_DF + bursts) * np.log(total)
        + log_prior
    )
    most = float(log_weight.max())
    weight = np.exp(log_weight - most)
    return Posterior(
        prior=prior,
        knees=knees,
        shapes=shapes,
        weight=weight / weight.sum(),
        phi=total / (DISPERSION_DF + max(1.0, bursts - 2)),
        sharpness=np.concatenate([sharpness(shape, allowed) for shape in shapes], axis=1),
        evidence=most + math.log(weight.sum()),
    )


def _misfit(
    trial_points: Sequence[FitPoint], prior: CurvePrior, knees: Values, shape: Shape
) -> Values:
    """Deviance of the trials from a shape, for every knee and slope; (n, m)."""
    allowed = prior.criterion.share
    deviance = np.zeros_like(shape.log_prior)
    for point in trial_points:
        expected = np.maximum(prior.shares_at(point.rate, knees, shape), FLOOR * allowed)
        deviance += point.n * _deviance(point.share, expected)
    binomial = (allowed * (1 - allowed)) ** (1 - POWER)
    misfit: Values = deviance / binomial
    return misfit


def _deviance(y: Share, mu: Values) -> Values:
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
    low, middle, high = weighted_quantiles(
        np.log(posterior.knees), posterior.marginal, (below, 0.5, above)
    )
    (slope,) = weighted_quantiles(posterior.sharpness, posterior.weight, (0.5,))
    widen = float(np.interp(slope, (SOFT, SHARP), (WIDEN_SOFT, WIDEN_SHARP)))
    widen *= alike_in_time(_residuals(trial_points, posterior))
    return KneeFit(
        criterion=criterion,
        knee=math.exp(middle),
        low=math.exp(middle + widen * (low - middle)),
        high=math.exp(middle + widen * (high - middle)),
        sharpness=slope,
        phi=float((posterior.phi * posterior.weight).sum()),
        confidence=confidence,
        part=posterior.level,
        points=trial_points,
        posterior=posterior,
    )


def _residuals(trial_points: Sequence[FitPoint], posterior: Posterior) -> Values:
    """Deviance residuals of the points from the likeliest curve, in the order they were measured;
    on an arbitrary scale.
    """
    mode = np.unravel_index(int(posterior.weight.argmax()), posterior.weight.shape)
    allowed = posterior.prior.criterion.share
    residuals = []
    for point in trial_points:
        expected = max(float(posterior.shares_at(point.rate)[mode]), FLOOR * allowed)
        misfit = max(0.0, point.n * float(_deviance(point.share, np.array(expected))))
        residuals.append(math.copysign(math.sqrt(misfit), point.share - expected))
    return np.array(residuals)


def alike_in_time(residuals: Values) -> float:
    """How much wider an interval is when trials that followed each other err to the same side: the
    square root of (1 + r) / (1 - r), r being the correlation of neighbours (Bayley and Hammersley
    1946). 1 unless r is beyond chance.

    Bursts scatter trials one by one; a host or a service that changes for minutes moves several.
    """
    n, whole = len(residuals), float((residuals**2).sum())
    if n < FEWEST_ALIKE or not whole:
        return 1.0
    alike = float((residuals[:-1] * residuals[1:]).sum()) / whole
    if alike <= CHANCE_ALIKE / math.sqrt(n):
        return 1.0
    alike = min(alike, MOST_ALIKE)
    return math.sqrt((1 + alike) / (1 - alike))


def _tails(confidence: Share) -> tuple[float, float]:
    return (0.5 - confidence / 2, 0.5 + confidence / 2)


def weighted_quantiles(
    values: Values, weight: Values, shares: tuple[float, ...]
) -> tuple[float, ...]:
    """Weighted quantiles, linear between the values; numpy's do not interpolate under weights."""
    flat, mass = values.ravel(), weight.ravel()
    order = np.argsort(flat)
    cumulative = np.cumsum(mass[order])
    return tuple(
        float(np.interp(share * cumulative[-1], cumulative, flat[order])) for share in shares
    )


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(f"{value:.5g}") for value in values)
