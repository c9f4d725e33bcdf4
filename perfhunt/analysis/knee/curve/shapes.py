"""How the share of requests over a limit may rise with the rate, and what is believed of it before
any trial.

Either the whole service runs full. For waits with an exponential tail, ln P(wait > L) = -c·L·(C -
rate): linear in the rate, and certainty at the capacity C (Kingman 1962).

    ln(share) = ln(allowed) + s·(rate/K - 1), and never certain

Or a part of the traffic does so long before the rest: a slow lane, one route of several, one shard,
the keys that a cache does not hold. Its share rises to what it is of the traffic and stays there,
until the rest runs full too.

    share = level / (1 + exp(-odds)), odds = ln(allowed / (level - allowed)) + s·(rate/K - 1)

Where one trial further up showed that the rest does not follow, both are possible, with parts of
any size; the trials decide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from perfhunt.model.slo import Criterion
from perfhunt.model.units import PerSecond, Share

Values: TypeAlias = NDArray[np.float64]

# The curve stays within these shares: no rate makes lateness certain, nor impossible.
CEILING: Share = 0.95
LOWEST_LOG = -30.0  # of the logarithm

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
LEAST_SPARE: Share = 0.05  # of the capacity, however near the knee is to it
# An exponential tail is taken to be no flatter than that of a median: -ln(0.5) = 0.69.
FLATTEST_TAIL = 0.7

# The prior probability that a part breaks first, where the rest was not seen to follow, shared out
# over how large it may be, as multiples of the allowed share. A part that is smaller than what is
# allowed never breaks the limit; one much larger than the last is told from the whole by nothing.
PART: Share = 0.75
LEVELS = (1.25, 1.6, 2.2, 3.2, 5.0, 9.0, 18.0)
LARGEST_PART: Share = 0.6
# Median and sd of ln(slope) of a part's odds: its own capacity is not known. A lane that holds a
# constant time rises with 10, one with a heavy tail with 2 (both simulated).
PART_SLOPE, PART_SD = 5.0, 0.8
PART_SPARE: Share = 0.15  # of a part's capacity, at its knee
# Where the rest runs full, as a share of the capacity, and how steeply: a usual knee.
REST_KNEE: Share = 0.85
REST_SLOPE = 12.0


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape of the curve, over a grid of knees (n,) and deviates of its slope (m,).

    `slopes` and `dispersion` are (n, m); `log_prior` is the log density of each, up to the same
    constant for all shapes. `level` is the share at which a part of the traffic stays; None is the
    whole.
    """

    level: Share | None
    slopes: Values
    dispersion: Values
    log_prior: Values


@dataclass(frozen=True, slots=True)
class CurvePrior:
    """What is believed of a curve before any trial: from the criterion, the capacity (None: not
    known), whether requests are refused rather than late (`abrupt`), and whether only a part of
    the traffic may have broken (`parts`).
    """

    criterion: Criterion
    capacity: PerSecond | None
    abrupt: bool = False
    parts: bool = False

    @property
    def tail(self) -> float:
        """Mean waits that fit into the limit at the knee: ln(1 / share) of an exponential tail."""
        return max(FLATTEST_TAIL, -math.log(self.criterion.share))

    def shapes(self, knees: Values, deviates: Values) -> tuple[Shape, ...]:
        """Every shape that the curve may have, the whole service first."""
        waits = math.isfinite(self.criterion.limit)
        allowed = self.criterion.share
        levels = [times * allowed for times in LEVELS if times * allowed < LARGEST_PART]
        if self.abrupt or not self.parts or not waits or not levels:
            return (self._whole(knees, deviates, 1.0),)
        whole = self._whole(knees, deviates, 1.0 - PART)
        each = PART / len(levels)
        return (whole, *(self._part(knees, deviates, level, each) for level in levels))

    def _whole(self, knees: Values, deviates: Values, probability: Share) -> Shape:
        median, sd = self.slopes(knees)
        density = self._log_room(knees)[:, None] - 0.5 * deviates**2
        return Shape(
            level=None,
            slopes=median[:, None] * np.exp(deviates * sd[:, None]),
            dispersion=np.broadcast_to(self.dispersion(knees)[:, None], density.shape),
            log_prior=math.log(probability) + density,
        )

    def _part(self, knees: Values, deviates: Values, level: Share, probability: Share) -> Shape:
        shape = (len(knees), len(deviates))
        tail = max(FLATTEST_TAIL, math.log(level / self.criterion.share))
        excursion = BURST * level * knees * self.criterion.limit / (tail * PART_SPARE)
        return Shape(
            level=level,
            slopes=np.broadcast_to(PART_SLOPE * np.exp(PART_SD * deviates), shape),
            dispersion=np.broadcast_to(1.0 + excursion[:, None], shape),
            log_prior=np.broadcast_to(math.log(probability) - 0.5 * deviates**2, shape),
        )

    def slopes(self, knees: Values) -> tuple[Values, Values]:
        """Median of the whole's slope at each knee and the sd of its logarithm: a straight line up
        to certainty at the capacity.
        """
        if self.capacity is None or not math.isfinite(self.criterion.limit):
            slope, sd = (ABRUPT_SLOPE, ABRUPT_SD) if self.abrupt else (BLIND_SLOPE, BLIND_SD)
            return np.full_like(knees, slope), np.full_like(knees, sd)
        room = np.hypot(np.maximum(self.capacity / knees - 1, 0.0), BLUNT)
        median = SLOPE / (1 + SLOPE_BEND * room) * self.tail / room
        return median, SLOPE_SD + SLOPE_SD_BEND * room / (1 + room)

    def dispersion(self, knees: Values) -> Values:
        """Dispersion of the whole's counts over binomial at each knee: how many requests one
        excursion of the queue makes late, times BURST.

        Above L the wait exceeds it by L/ln(1/share) on average, and the queue gains 1 - K/C seconds
        on it per second.
        """
        if self.capacity is None or not math.isfinite(self.criterion.limit):
            return np.full_like(knees, EVEN_DISPERSION if self.abrupt else BLIND_DISPERSION)
        spare = np.maximum(LEAST_SPARE, 1 - knees / self.capacity)
        return 1 + BURST * knees * self.criterion.limit / (self.tail * spare)

    def _log_room(self, knees: Values) -> Values:
        """Log density of each knee by its distance from the capacity, up to a constant."""
        if self.capacity is None:
            return np.zeros_like(knees)
        room = np.log(np.maximum(self.capacity / knees - 1, 0.01) / ROOM)
        density: Values = -0.5 * (room / ROOM_SD) ** 2
        return density

    def shares_at(self, rate: PerSecond, knees: Values, shape: Shape) -> Values:
        """The share over the limit at a rate, for every knee and slope of a shape; (n, m)."""
        return self._shares(rate / knees[:, None] - 1, shape.slopes, shape.level, rate)

    def share_at(
        self, rate: PerSecond, knee: PerSecond, sharp: float, level: Share | None
    ) -> Share:
        """The share over the limit at a rate, of the one curve with this knee and sharpness."""
        slope = sharp if level is None else sharp / (1 - self.criterion.share / level)
        along = np.array(rate / knee - 1)
        return float(self._shares(along, np.array(slope), level, rate))

    def _shares(
        self, along: Values, slopes: Values, level: Share | None, rate: PerSecond
    ) -> Values:
        allowed = self.criterion.share
        if level is None:
            return _capped(math.log(allowed) + slopes * along)
        odds = math.log(allowed / (level - allowed)) + slopes * along
        part = level / (1 + np.exp(-np.clip(odds, LOWEST_LOG, -LOWEST_LOG)))
        return np.minimum(CEILING, part + self._rest(rate))

    def _rest(self, rate: PerSecond) -> Share:
        """What the rest of the traffic adds where it runs full too."""
        if self.capacity is None:
            return 0.0
        along = rate / (REST_KNEE * self.capacity) - 1
        return float(_capped(np.array(math.log(self.criterion.share) + REST_SLOPE * along)))


def sharpness(shape: Shape, allowed: Share) -> Values:
    """d ln(share) / d ln(rate) at the knee, for every knee and slope of a shape."""
    if shape.level is None:
        return shape.slopes
    sharp: Values = shape.slopes * (1 - allowed / shape.level)
    return sharp


def _capped(log_share: Values) -> Values:
    share: Values = np.exp(np.clip(log_share, LOWEST_LOG, math.log(CEILING)))
    return share
