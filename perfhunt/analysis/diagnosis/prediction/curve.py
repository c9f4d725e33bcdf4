"""The quantile that the SLO limits as a function of the rate, and where it crosses the limit once
answers are rid of a wait that holds nothing up.

Near saturation a quantile of the response time grows with one over the rate that is left to the
capacity: in M/M/1 exactly, as the response is exponential with that rate (Kleinrock 1975), in
G/G/k in heavy traffic (Kingman 1962), above what no queue adds. How steeply, the trials tell. A
wait that each answer has, whatever the load, takes its own length off every quantile.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import NamedTuple

import numpy as np
from scipy import stats

from perfhunt.analysis.diagnosis.prediction.station import Estimated
from perfhunt.model.knee import Knee
from perfhunt.model.trial import FITTED_PHASES, Phase, Trial
from perfhunt.model.units import PerSecond, Seconds, Share

_LATENCY = re.compile(r"latency\.p([\d.]+)(?:\[(.+)\])?")
_PHASES = FITTED_PHASES | {Phase.BASELINE}
# Of the capacity: a trial nearer to it had no time to come to rest.
_RESTLESS: Share = 0.97
_FEWEST = 3  # trials, from which the steepness has an error of its own
_BEYOND = 1
_ROUNDS = 8  # by which the steepness and what acknowledgements add agree to a digit


class HeldBack(NamedTuple):
    """A wait of `each` seconds that a `share` of the answers has."""

    share: Share
    each: Seconds


NOT_HELD = HeldBack(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class QueueCurve:
    """The quantile at the knee, where it is the limit: `beyond` is the share of requests that may
    be slower, `room` what is left to the capacity there. It grows by `steepness` (a number of
    requests) times what 1 / room grows by, above what does not depend on the queue.

    `measured`: by trials; else the steepness is the most that it can be.
    """

    beyond: Share
    room: PerSecond
    steepness: Estimated
    measured: bool

    def room_without(self, off: Seconds, held: HeldBack, errors: float = 0.0) -> PerSecond:
        """What is left to the capacity where the quantile is at the limit once answers take `off`
        seconds less, and those that are `held` are so no more; with a steepness by so many of its
        standard errors larger.
        """
        steepness = max(self.steepness.value + errors * self.steepness.error, 0.0)
        relief = off + shift(held, steepness / self.room, self.beyond)
        return steepness * self.room / (steepness + relief * self.room) if relief else self.room


def shift(held: HeldBack, height: Seconds, beyond: Share) -> Seconds:
    """What a quantile loses with a wait that a share of the answers has, where the rest of the
    response has an exponential tail: `height` is its quantile, above what does not queue.
    """
    if not held.share or not held.each or not 0 < beyond < 1:
        return 0.0
    scale = max(height, 1e-6) / log(1 / beyond)
    share = min(held.share, 1.0)
    with np.errstate(divide="ignore"):
        lost = float(scale * np.logaddexp(np.log1p(-share), np.log(share) + held.each / scale))
    if share < beyond:  # Those that are slower all the same have the quantile to themselves.
        lost = min(lost, scale * log(beyond * (1 - share) / (beyond - share)))
    return lost


def held_back(trial: Trial | None) -> HeldBack:
    """The wait for acknowledgements in a trial."""
    wire = trial.wire if trial is not None else None
    if wire is None or not wire.held:
        return NOT_HELD
    return HeldBack(wire.held / wire.answers, wire.held_total / wire.held)


def queue_curve(
    knee: Knee, capacity: PerSecond, trials: Iterable[Trial], at_knee: HeldBack = NOT_HELD
) -> QueueCurve | None:
    """The curve through the knee that the trials below the capacity follow; None where the knee is
    of no percentile, or not below the capacity.
    """
    match, room = _LATENCY.fullmatch(knee.criterion), capacity - knee.rate
    if match is None or room <= 0 or knee.rate <= 0:
        return None
    beyond = 1 - float(match[1]) / 100
    seen = [(t, q) for t in trials if (q := _quantile(t, match[2], beyond, capacity)) is not None]
    # No answer takes less than nothing, at no load either.
    most = knee.limit * room * capacity / knee.rate
    steepness = Estimated(most)
    measured = len(seen) >= _FEWEST and any(t.step.rate < knee.rate for t, _ in seen)
    for _ in range(_ROUNDS if measured else 0):
        steepness = _steepness(knee, capacity, seen, at_knee, beyond, steepness.value)
        steepness = Estimated(min(max(steepness.value, 0.0), most), steepness.error)
    return QueueCurve(beyond, room, steepness, measured)


def _quantile(
    trial: Trial, route: str | None, beyond: Share, capacity: PerSecond
) -> Seconds | None:
    if trial.invalid or trial.overload or trial.step.phase not in _PHASES:
        return None
    whole = trial.routes.get(route) if route else trial
    if whole is None or whole.response.n * beyond < _BEYOND:
        return None
    return whole.response.at(1 - beyond) if trial.step.rate < _RESTLESS * capacity else None


def _steepness(
    knee: Knee,
    capacity: PerSecond,
    seen: Sequence[tuple[Trial, Seconds]],
    at_knee: HeldBack,
    beyond: Share,
    guess: float,
) -> Estimated:
    """Least squares through the knee, of quantiles less what acknowledgements added to each. A
    quantile scatters as much as it is high.
    """
    there = 1 / (capacity - knee.rate)
    queued = knee.limit - shift(at_knee, guess * there, beyond)
    squares = products = 0.0
    points = []
    for trial, quantile in seen:
        inverse = 1 / (capacity - trial.step.rate)
        below = queued - (quantile - shift(held_back(trial), guess * inverse, beyond))
        weight = trial.n / inverse**2
        points.append((weight, there - inverse, below))
        squares += weight * (there - inverse) ** 2
        products += weight * (there - inverse) * below
    if not squares:
        return Estimated(guess)
    slope = products / squares
    scatter = sum(w * (y - slope * x) ** 2 for w, x, y in points) / (len(points) - 1)
    doubt = float(stats.t.ppf(0.975, len(points) - 1)) / float(stats.norm.ppf(0.975))
    return Estimated(slope, doubt * sqrt(scatter / squares))
