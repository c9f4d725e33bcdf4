"""The quick part of a climb: up geometrically to the first clear failure, saturate once, then halve
the gap.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

from perfhunt.analysis.knee.fit import completions, logit
from perfhunt.analysis.knee.goal import Ask, Observation
from perfhunt.analysis.knee.log import Asking, Log
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import PerSecond, Seconds

RAMP: Seconds = 4.0
COARSE: Seconds = 6.0
ENOUGH = 40  # requests that a ramp trial should hold, where that takes no longer than LONGEST
LONGEST: Seconds = 20.0
LIMITS = 2.5  # times the latency limit that a trial lasts at least: a queue takes that long to show
FAST, SLOW = 2.0, 1.5
BURSTS = 3
FILL: Seconds = 1.5  # a saturated queue fills before completions are counted
CLEARLY, PROBABLY = (
    1.6,
    1.1,
)  # how far above the criterion's share, in log odds: 5 % and 3 % for a p99


@dataclass(frozen=True, slots=True)
class Bracket:
    """Between the last rate that held and the first that clearly did not; `high` is None when none
    failed.
    """

    low: PerSecond
    high: PerSecond | None

    @property
    def middle(self) -> PerSecond:
        return math.sqrt(self.low * self.high) if self.high else self.low


@dataclass(frozen=True, slots=True)
class BudgetSplit:
    """How a budget is split before the passes: seconds of the burst, and how often the bracket is
    halved.
    """

    burst: Seconds
    halvings: int


def plan_for(budget: Seconds) -> BudgetSplit:
    """Short budgets spend less on the capacity and leave the halving to the fit."""
    return (
        BudgetSplit(4.0, 1)
        if budget < 75
        else BudgetSplit(5.0, 2)
        if budget < 150
        else BudgetSplit(8.0, 3)
    )


def clearly_over(trial: Trial, criterion: Criterion, margin: float) -> bool:
    """Whether a short trial is over the criterion by `margin` in log odds, with at least three
    requests to show for it.
    """
    if trial.overload:
        return True
    count = trial.counts.get(criterion.name)
    if count is None or count.exceed < 3 or count.exceed < 3 * criterion.share * count.n**0.5:
        return False
    return logit(min(count.share, 0.999)) > logit(criterion.share) + margin


def ramp(log: Log) -> Generator[Ask, Observation, Bracket]:
    """Climb from the start until a criterion is clearly missed, the queue runs away, or the ceiling
    holds.
    """
    goal, rate, low = log.goal, log.goal.start, log.goal.start
    calm = log.baseline.response.p50 or 0.0
    factor = FAST
    while rate < goal.max_rate:
        rate = min(rate * factor, goal.max_rate)
        trial = yield from log.measure(Phase.RAMP, rate, _dwell(log, RAMP, rate))
        if any(clearly_over(trial, c, CLEARLY) for c in goal.criteria):
            return Bracket(low, rate)
        low = rate
        # Growth of the median says that a queue has begun: step more carefully from there.
        median = trial.response.p50 or 0.0
        factor = FAST if median < 1.25 * calm + 0.0005 else SLOW
    return Bracket(low, None)


def _dwell(log: Log, seconds: Seconds, rate: PerSecond) -> Seconds:
    return float(round(min(LONGEST, max(seconds, ENOUGH / rate, LIMITS * log.limit))))


def saturate(log: Log, rate: PerSecond, seconds: Seconds) -> Asking:
    """A burst well above what was too much, with nothing to stop it, to count completions; higher
    while the service keeps up.

    Where latency broke long before the capacity, the first burst does not saturate; the budget
    allows at most three.
    """
    goal = log.goal
    burst = min(goal.max_rate, (1.2 if log.trials[-1].overload else 1.5) * rate)
    fill = float(math.ceil(max(FILL, log.limit)))
    if not log.rested:
        yield from log.drain()  # answers to an older backlog would not be counted as this burst's
    for _ in range(BURSTS):
        length = float(min(30, max(seconds, math.ceil(100 / rate))))
        trial = yield from log.measure(Phase.CAPACITY, burst, length + fill, fill, abort=False)
        if (
            completions(trial) is not None
            or burst >= goal.max_rate
            or log.left < 0.5 * goal.seconds
        ):
            break
        burst = min(goal.max_rate, 1.6 * burst)
    return trial


def coarse(log: Log, bracket: Bracket, times: int) -> Generator[Ask, Observation, Bracket]:
    """The bracket after halving it on a log scale this many times."""
    for _ in range(times):
        if bracket.high is None or bracket.high / bracket.low < 1.08:
            break
        rate = bracket.middle
        trial = yield from log.measure(
            Phase.COARSE,
            rate,
            _dwell(log, COARSE, rate),
            1.0,
            late=min(0.5, 2 * log.goal.criteria[0].share),
        )
        bad = any(clearly_over(trial, c, PROBABLY) for c in log.goal.criteria)
        bracket = Bracket(bracket.low, rate) if bad else Bracket(rate, bracket.high)
    return bracket
