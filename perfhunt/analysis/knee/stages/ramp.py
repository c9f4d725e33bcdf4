"""The quick part of a search: up geometrically to the first clear failure, saturate once, then
halve the gap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import logit

from perfhunt.analysis.knee.goal import SearchStage
from perfhunt.analysis.knee.observed import completions
from perfhunt.analysis.knee.state import SearchState, hot
from perfhunt.analysis.trial.exceedance import CLEAR, LIKELY, SUSPECT, Standing, standing
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import PerSecond, Seconds, Share

RAMP: Seconds = 4.0
COARSE: Seconds = 6.0
REQUESTS = 40  # that a trial of the ramp should hold, where that takes no longer than LONGEST
LONGEST: Seconds = 20.0
# Below one request a second, and where the limit is long, a trial of the ramp lasts longer than
# LONGEST: until it holds the fewest requests, or a queue may show, but no longer than this.
FEWEST, SLOWEST = 20, 60.0
LIMITS = 2.5  # times the latency limit that a trial lasts at least: a queue takes that long to show

# From one rate to the next, as a factor: doubling while nothing queues; slower once the median has
# grown by a quarter (and by more than the half millisecond that a timer may be off).
FAST, SLOW = 2.0, 1.5
GROWN, GROWN_BY = 1.25, 0.0005

# How far above the criterion's share a short trial is over it, in log odds: 5 % and 3 % for a p99.
CLEARLY, PROBABLY = 1.6, 1.1
EVIDENCE = 3  # requests over the limit, at least: one or two are chance

# Bursts go this far above the rate that failed, further when that rate did not even overload.
BEYOND_OVERLOAD, BEYOND_MISS = 1.2, 1.5
FURTHER = 1.6  # from one burst to the next, while the service keeps up
BURSTS = 3  # at most
BURST_BUDGET: Share = 0.5  # of the budget that must be left for another burst
BURST_REQUESTS = 100  # that a burst should hold
LONGEST_BURST: Seconds = 30.0
FILL: Seconds = 1.5  # a saturated queue fills before completions are counted

SECOND_LOOK = 2.5  # times the first trial that its repetition lasts: long enough to settle a doubt
# One rate further, the share over the limit of a service that runs full is beyond this multiple of
# what it was; that of a part of the traffic, all of which is late, stays where it is.
RISING = 1.5

NARROW = 1.08  # high over low of a bracket that halving would not tell apart
COARSE_LEAVES: Share = 0.3  # of the budget, below which what is left belongs to the passes
COARSE_SETTLE: Seconds = 1.0


@dataclass(frozen=True, slots=True)
class Bracket:
    """Between the last rate that held and the first that clearly did not; `high` is None when none
    failed.
    """

    low: PerSecond
    high: PerSecond | None

    @property
    def middle(self) -> PerSecond:
        """The middle on a log scale; `low` when nothing failed."""
        return math.sqrt(self.low * self.high) if self.high else self.low


@dataclass(frozen=True, slots=True)
class BudgetSplit:
    """How a budget is split before the passes: seconds of the burst, and how often the bracket is
    halved.
    """

    burst: Seconds
    halvings: int


# Budgets below so many seconds, and their split.
SHORT_SPLITS: tuple[tuple[Seconds, BudgetSplit], ...] = (
    (75.0, BudgetSplit(burst=4.0, halvings=1)),
    (150.0, BudgetSplit(burst=5.0, halvings=2)),
)
USUAL_SPLIT = BudgetSplit(burst=8.0, halvings=3)


def split_budget(budget: Seconds) -> BudgetSplit:
    """Short budgets spend less on the capacity and leave the halving to the fit."""
    return next((split for below, split in SHORT_SPLITS if budget < below), USUAL_SPLIT)


def clearly_over(trial: Trial, criterion: Criterion, margin: float) -> bool:
    """Whether a short trial is over the criterion by `margin` in log odds, with enough requests
    (`EVIDENCE`) to show for it.
    """
    if trial.overload:
        return True
    count = trial.counts.get(criterion.name)
    if count is None or count.exceed < EVIDENCE * max(1.0, criterion.share * count.n**0.5):
        return False
    return bool(logit(min(count.share, 0.999)) > logit(criterion.share) + margin)


def ramp(state: SearchState, start: PerSecond) -> SearchStage[Bracket]:
    """Rates above a start that holds, until a criterion is clearly missed, the queue runs away, or
    the ceiling holds.
    """
    goal, rate, low = state.goal, start, start
    calm = state.baseline.response.p50 or 0.0
    factor = FAST
    while rate < goal.max_rate:
        rate = min(rate * factor, goal.max_rate)
        if state.above is not None and rate >= state.above.step.rate:
            return Bracket(low, state.above.step.rate)
        seconds = _dwell(state, RAMP, rate)
        trial = yield from state.measure(Phase.RAMP, rate, seconds, enough=_none_over)
        if (yield from _missed(state, trial)):
            yield from state.rest()
            return Bracket(low, rate)
        low = rate
        # Growth of the median says that a queue has begun: step more carefully from there.
        median = trial.response.p50 or 0.0
        factor = FAST if median < GROWN * calm + GROWN_BY else SLOW
    return Bracket(low, None)


def _none_over(trial: Trial) -> bool:
    """Whether every request kept every limit: then the rate holds, the more so without the other
    work that took cores meanwhile, and the ramp may go on. The fit does without the trial.
    """
    kept = not any(count.exceed for count in trial.counts.values())
    return kept and bool(trial.counts) and not trial.overload and not trial.invalid


def _missed(state: SearchState, trial: Trial) -> SearchStage[bool]:
    """Whether a criterion is missed at a trial's rate: clearly by that trial, or likely by a longer
    one where it left a doubt.
    """
    criteria = state.goal.criteria
    if any(clearly_over(trial, c, CLEARLY) or _stands_failed(trial, c) for c in criteria):
        return True
    if not any(_stands_failed(trial, c, SUSPECT) for c in criteria):
        return False
    rate = trial.step.rate
    longest = max(LONGEST, trial.step.duration)
    seconds = float(round(min(longest, SECOND_LOOK * trial.step.duration)))
    if seconds + COARSE_SETTLE > state.left:
        return any(_stands_failed(trial, criterion, LIKELY) for criterion in criteria)
    yield from state.rest()
    longer = yield from state.measure(Phase.COARSE, rate, seconds + COARSE_SETTLE, COARSE_SETTLE)
    return any(_stands_failed(longer, criterion, LIKELY) for criterion in criteria)


def _stands_failed(trial: Trial, criterion: Criterion, level: Share = CLEAR) -> bool:
    return standing(trial, criterion, level) is Standing.FAILED


def runs_full(state: SearchState, failed: Trial) -> SearchStage[bool]:
    """Whether the whole service follows where a criterion was first missed, by one trial further
    up; not so where a part of the traffic is late and the rest is as quick as before.
    """
    rate, ceiling = failed.step.rate, state.goal.max_rate
    if hot(failed):
        return True
    if rate >= ceiling:
        return False
    further = min(FAST * rate, ceiling)
    trial = yield from state.measure(Phase.RAMP, further, _dwell(state, RAMP, further))
    yield from state.rest()
    shares = [(failed.counts[name].share, trial.counts[name].share) for name in trial.counts]
    return hot(trial) or any(after > RISING * before and after for before, after in shares)


def was_chance(state: SearchState, failed: Trial) -> SearchStage[bool]:
    """Whether the trial that failed was one burst: the one further up held, and so does a longer
    one at its own rate, where the ramp then goes on.
    """
    further, criteria = state.trials[-1], state.goal.criteria
    if further.step.rate <= failed.step.rate or _is_over(further, criteria, SUSPECT):
        return False
    rate = failed.step.rate
    seconds = SECOND_LOOK * failed.step.duration
    again = yield from state.measure(Phase.COARSE, rate, seconds, COARSE_SETTLE)
    if _is_over(again, criteria, LIKELY):
        yield from state.rest()
        return False
    return True


def _is_over(trial: Trial, criteria: Sequence[Criterion], level: Share) -> bool:
    return any(clearly_over(trial, c, 0.0) or _stands_failed(trial, c, level) for c in criteria)


def _dwell(state: SearchState, seconds: Seconds, rate: PerSecond) -> Seconds:
    longest = max(LONGEST, min(SLOWEST, max(FEWEST / rate, LIMITS * state.limit)))
    return float(round(min(longest, max(seconds, REQUESTS / rate, LIMITS * state.limit))))


def saturate(state: SearchState, failed: Trial, seconds: Seconds) -> SearchStage[Trial]:
    """A burst well above the rate of a trial that failed, with nothing to stop it, to count
    completions; higher while the service keeps up.

    Where latency broke long before the capacity, the first burst does not saturate; the budget
    allows at most three.
    """
    goal, rate = state.goal, failed.step.rate
    beyond = BEYOND_OVERLOAD if failed.overload else BEYOND_MISS
    burst = min(goal.max_rate, beyond * rate)
    fill = float(math.ceil(max(FILL, state.limit)))
    yield from state.rest()  # answers to an older backlog would not be counted as this burst's
    for _ in range(BURSTS):
        length = float(min(LONGEST_BURST, max(seconds, math.ceil(BURST_REQUESTS / rate))))
        trial = yield from state.measure(Phase.CAPACITY, burst, length + fill, fill, abort=False)
        saturated = completions(trial) is not None
        if saturated or burst >= goal.max_rate or state.left < BURST_BUDGET * goal.seconds:
            break
        burst = min(goal.max_rate, FURTHER * burst)
    return trial


def coarse(state: SearchState, bracket: Bracket, halvings: int) -> SearchStage[Bracket]:
    """The bracket after halving it on a log scale this many times."""
    criteria = state.goal.criteria
    for _ in range(halvings):
        if bracket.high is None or bracket.high / bracket.low < NARROW:
            break
        if state.left < COARSE_LEAVES * state.goal.seconds:
            break
        rate = bracket.middle
        trial = yield from state.measure(
            Phase.COARSE,
            rate,
            _dwell(state, COARSE, rate),
            COARSE_SETTLE,
            late=min(0.5, 2 * criteria[0].share),
        )
        failed = any(
            clearly_over(trial, c, PROBABLY) or _stands_failed(trial, c, LIKELY) for c in criteria
        )
        bracket = Bracket(bracket.low, rate) if failed else Bracket(rate, bracket.high)
        if failed:
            yield from state.rest()
    return bracket
