"""When a service has warmed up: its median latency has stopped moving."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from perfhunt.analysis.knee.goal import Goal, SearchStage, trial_of
from perfhunt.analysis.knee.state import SEEDS_APART
from perfhunt.model.trial import Phase, Step, Trial
from perfhunt.model.units import PerSecond, Seconds, Share

BLOCK: Seconds = 10.0
BLOCKS = 3  # compared with each other
CAP: Seconds = 120.0
STILL: Share = 0.05  # of the median: blocks that differ by no more stand still
NOISE = 2.5  # standard errors of a block's median that pass for standing still
FEWEST_ROWS = 4  # seconds of a block that say how its median scatters
FIRST_SEED = 90_000  # after the user's own: no search asks for so many trials


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How long warming up took; `stationary` is False when the cap came first. `seed`s of the
    trials are not reused.
    """

    seconds: Seconds
    stationary: bool
    trials: tuple[Trial, ...]

    @property
    def caution(self) -> str:
        """A sentence when the service never settled, else ""."""
        if self.stationary:
            return ""
        first, last = self.trials[0].response.p50, self.trials[-1].response.p50
        moved = ""
        if first and last:
            moved = f" (the median went from {first * 1e3:.3g} to {last * 1e3:.3g} ms)"
        return (
            f"the service had not settled after {self.seconds:.0f} s of warm-up{moved}: every"
            " number below may drift"
        )


def warm_up(goal: Goal, rate: PerSecond | None = None, cap: Seconds = CAP) -> SearchStage[WarmUp]:
    """Hold a low rate in blocks of 10 s until three in a row show no trend and agree within 5 % (or
    within their noise).
    """
    trials: list[Trial] = []
    while True:
        step = Step(
            phase=Phase.WARMUP,
            rate=rate or goal.start,
            duration=BLOCK,
            seed=goal.seed * SEEDS_APART + FIRST_SEED + len(trials),
            arrivals=goal.arrivals,
        )
        trial = yield from trial_of(step)
        trials.append(trial)
        seconds = sum(t.seconds for t in trials)
        if (stationary := _settled(trials)) or seconds + BLOCK > cap:
            return WarmUp(seconds, stationary, tuple(trials))


def _settled(trials: Sequence[Trial]) -> bool:
    """Whether the last three blocks' medians show neither a trend beyond noise nor a difference of
    more than 5 %.
    """
    last = trials[-BLOCKS:]
    medians = [t.response.p50 for t in last if t.response.p50]
    if len(medians) < BLOCKS:
        return False
    noise = NOISE * max(_median_error(t) for t in last)
    moved = abs(medians[-1] / medians[0] - 1)
    steps = [b - a for a, b in itertools.pairwise(medians)]
    trend = all(s > 0 for s in steps) or all(s < 0 for s in steps)
    return moved <= max(STILL, noise) and not (trend and moved > noise)


def _median_error(trial: Trial) -> Share:
    """Relative standard error of a block's median, from how its seconds' medians scatter."""
    medians = [row.p50 for row in trial.rows if row.p50]
    if len(medians) < FEWEST_ROWS:
        return 0.0
    return stdev(medians) / math.sqrt(len(medians)) / fmean(medians)
