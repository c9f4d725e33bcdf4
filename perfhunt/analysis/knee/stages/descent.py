"""Down from a start rate that is already too much, to the lowest realistic load of a slow service:
a rate that holds, or what one request alone takes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from perfhunt.analysis.knee.goal import Goal, SearchStage, trial_of
from perfhunt.analysis.knee.observed import failed_at_once, good_answers, longest_limit
from perfhunt.analysis.knee.refused import refused_at_baseline
from perfhunt.analysis.knee.state import (
    UNBOUNDED,
    GeneratorLimited,
    HostBusy,
    OutOfBudget,
    SearchState,
    TargetLost,
)
from perfhunt.model.knee import NoKneeCode
from perfhunt.model.question import ArrivalLaw
from perfhunt.model.trial import Drained, Phase, Step, Trial
from perfhunt.model.units import PerSecond, Seconds, Share

RUNGS = (1.0, 2.0, 5.0)  # of every decade: 10, 5, 2, 1, 0.5 ...
# The lowest rate tried: one request in ten seconds. Lower, ten requests take longer than a person
# waits for a first number, and no share of them can be told within the usual ten minutes.
LOWEST: PerSecond = 0.1
# Of the answers that an overloaded service was seen to give: there its queue is short.
CALM: Share = 0.5
KEPT_UP: Share = 0.8  # of the rate: a service that answers less has a queue
NOTHING: Share = 0.1  # of a rate at which no good answer came
# Requests under way on average, up to which less load would not make them quicker: where most of
# them are late, the usual one met no other; where few are, hardly any did.
USUALLY_ALONE, ALONE = 0.5, 0.1
MOSTLY: Share = 0.5
# Requests under way at the start rate that the limit allows, beyond which it is tried out lower:
# ten a second for fifteen seconds are ten minutes of work for a report that takes four.
MANY = 20

SETTLE: Seconds = 1.0
LEAST: Seconds = 10.0  # of a trial on the way down
REQUESTS, FEWEST = 20, 10  # it should hold, and holds whatever that takes
LONGEST: Seconds = 60.0  # unless the fewest take longer
LIMITS = 2.5  # times the latency limit that it lasts at least
# For quiet, however short the search is to be: so much that what was seen is used as it is before
# the baseline is given up.
LEAST_PATIENCE: Seconds = 60.0
ALONE_REQUESTS = 6  # sent one by one, where even the lowest rate is too much


@dataclass(frozen=True, slots=True)
class Descent:
    """Every baseline that was tried, downwards, and the drains between them. The last trial is the
    floor: it holds, or nothing does.
    """

    trials: tuple[Trial, ...]
    drains: tuple[Drained, ...]

    @property
    def floor(self) -> Trial:
        return self.trials[-1]

    @property
    def before(self) -> tuple[Trial, ...]:
        """The baselines that did not hold, above the floor."""
        return self.trials[:-1]


def descend(goal: Goal, first: Step) -> SearchStage[Descent]:
    """The baseline, and where that is too much already the rates below it until one holds. Ends
    early where less load does not help, where the target does not come back, or where the
    generator is the limit.
    """
    tried = [(yield from trial_of(_first_look(goal, first)))]
    state = SearchState(replace(goal, budget=math.inf, quick=False), tried[0], [*tried])
    state.patience = min(UNBOUNDED, max(goal.seconds, LEAST_PATIENCE))
    if tried[0].step != first and not tried[0].invalid and not _refused(goal, tried):
        tried = [(yield from trial_of(first))]
        state.trials = [*tried]
    trial = tried[-1]
    try:
        while not trial.invalid and _refused(goal, tried) and (rate := _next(goal, tried)):
            yield from state.rest()
            if rate < trial.step.rate:
                trial = yield from _lower(state, rate, _seconds(state, rate))
            else:
                state.goal = replace(state.goal, arrivals=ArrivalLaw.UNIFORM)
                trial = yield from _lower(state, rate, ALONE_REQUESTS / rate)
            tried.append(trial)
        if len(tried) > 1 and _refused(goal, tried):
            yield from state.rest()
    except (TargetLost, GeneratorLimited, HostBusy, OutOfBudget):
        pass
    return Descent(tuple(tried), tuple(state.drains))


def _first_look(goal: Goal, first: Step) -> Step:
    """The baseline itself, or fewer requests where the limit says that each may take long."""
    limit = longest_limit(goal.criteria)
    if first.rate * limit <= MANY:
        return first
    rate = _rung_below(first.rate, MANY / limit)
    return replace(first, rate=rate, duration=float(math.ceil(FEWEST / rate)) + SETTLE)


def _lower(state: SearchState, rate: PerSecond, seconds: Seconds) -> SearchStage[Trial]:
    length = float(math.ceil(seconds)) + SETTLE
    trial = yield from state.measure(Phase.BASELINE, rate, length, SETTLE)
    return trial


def _seconds(state: SearchState, rate: PerSecond) -> Seconds:
    enough = max(LEAST, REQUESTS / rate, LIMITS * state.limit)
    return max(FEWEST / rate, min(LONGEST, enough))


def _refused(goal: Goal, tried: Sequence[Trial]) -> bool:
    return refused_at_baseline(goal, tried[-1], tried[:-1]) is not None


def _next(goal: Goal, tried: Sequence[Trial]) -> PerSecond | None:
    """The next rate down; the same again where requests are to be sent one by one; None where that
    is known already.
    """
    trial, rate, together = tried[-1], tried[-1].step.rate, in_flight(tried[-1])
    why = refused_at_baseline(goal, trial)
    itself = why is not None and why.code is NoKneeCode.TEST_ITSELF
    alone = rate * (trial.response.p50 or 0.0) <= USUALLY_ALONE
    if itself and (alone or not failed_at_once(trial)):
        return None  # Less load would not make a locustfile quicker, or mend it.
    failing = itself or (why is not None and why.code is NoKneeCode.ERRORS_AT_ONCE)
    late = max(count.share for count in trial.counts.values())
    # One who is refused for asking too often is answered as quickly as one who is alone.
    if failing and len(tried) == 1:
        return _rung_below(rate, CALM * good_answers(trial) or NOTHING * rate)
    if together <= (USUALLY_ALONE if late > MOSTLY else ALONE):
        return None
    if rate <= LOWEST:
        return None if trial.step.arrivals == ArrivalLaw.UNIFORM else rate
    if trial.overload or failing or trial.completed < KEPT_UP * rate:
        return _rung_below(rate, CALM * good_answers(trial) or NOTHING * rate)
    return _rung_below(rate, rate * USUALLY_ALONE / together if late > MOSTLY else rate)


def in_flight(trial: Trial) -> float:
    """Requests under way on average in the counted seconds of a trial."""
    rows = [row.in_flight for row in trial.rows if row.second >= trial.step.settle]
    if rows:
        return fmean(rows)
    return trial.step.rate * (trial.response.mean or 0.0)


def _rung_below(rate: PerSecond, most: PerSecond) -> PerSecond:
    """The highest rung below a rate that is no more than `most`; the lowest there is at least."""
    decades = range(math.floor(math.log10(LOWEST)), math.ceil(math.log10(rate)) + 1)
    rungs = (float(f"{rung}e{decade}") for decade in decades for rung in RUNGS)
    return max((r for r in rungs if LOWEST <= r <= most and r < rate), default=min(LOWEST, rate))
