"""When a service has warmed up: its median latency has stopped moving."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from perfhunt.analysis.knee.goal import Ask, Goal, Observation
from perfhunt.model.trial import Phase, Step, Trial
from perfhunt.model.units import PerSecond, Seconds, Share

BLOCK: Seconds = 10.0
BLOCKS = 3  # compared with each other
CAP: Seconds = 120.0
STILL: Share = 0.05
NOISE = 2.5  # standard errors of a block's median that pass for standing still


@dataclass(frozen=True, slots=True)
class Warm:
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
        moved = (
            f" (the median went from {first * 1e3:.3g} to {last * 1e3:.3g} ms)"
            if first and last
            else ""
        )
        return (
            f"the service had not settled after {self.seconds:.0f} s of warm-up{moved}: every"
            " number below may drift"
        )


def warm_up(
    goal: Goal, rate: PerSecond | None = None, cap: Seconds = CAP
) -> Generator[Ask, Observation, Warm]:
    """Hold a low rate in blocks of 10 s until three in a row show no trend and agree within 5 % (or
    within their noise).
    """
    trials: list[Trial] = []
    while True:
        step = Step(
            Phase.WARMUP,
            rate or goal.start,
            BLOCK,
            goal.seed * 100_003 + 90_000 + len(trials),
            0.0,
            True,
            goal.arrivals,
        )
        trial = yield step
        if not isinstance(trial, Trial):
            raise TypeError(f"a step was answered with {type(trial).__name__}, not a Trial")
        trials.append(trial)
        spent = sum(t.seconds for t in trials)
        if settled(trials):
            return Warm(spent, True, tuple(trials))
        if spent + BLOCK > cap:
            return Warm(spent, False, tuple(trials))


def settled(trials: Sequence[Trial]) -> bool:
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
    seconds = [row.p50 for row in trial.rows if row.p50]
    if len(seconds) < 4:
        return 0.0
    mean = sum(seconds) / len(seconds)
    var = sum((s - mean) ** 2 for s in seconds) / (len(seconds) - 1)
    return math.sqrt(var / len(seconds)) / mean
