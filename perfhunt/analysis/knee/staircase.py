"""The classic ramp: plateaus written down beforehand, a verdict for each, and what they say about
the knee.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from perfhunt.analysis.knee.answers.answer import bracketed, fitted, no_knee, result_of
from perfhunt.analysis.knee.curve.fit import KneeFit, fit
from perfhunt.analysis.knee.curve.points import FitPoint
from perfhunt.analysis.knee.goal import Goal, Search
from perfhunt.analysis.knee.refused import refused_at_baseline
from perfhunt.analysis.knee.stages.ramp import Bracket
from perfhunt.analysis.knee.state import (
    GeneratorLimited,
    HostBusy,
    OutOfBudget,
    SearchState,
    TargetLost,
)
from perfhunt.model.knee import Knee, NoKnee, NoKneeCode
from perfhunt.model.question import Plateau
from perfhunt.model.slo import Criterion, Judgement
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import PerSecond, Seconds, Share, format_rate

SETTLE: Seconds = 2.0  # of a plateau, at most a tenth of it
SETTLE_SHARE: Share = 0.1
BLOCK = 10  # seconds: exceedances within one are of the same burst, between two hardly
OVERLOADED: Share = 0.9  # of an overloaded block's requests counted as over the limit
NEAR = 1.5  # plateaus further apart than this factor leave too much to the curve's shape
LEAST_ALLOWED: Share = 1e-3  # allowed share that is taken at least, for how many requests judge it


def staircase(
    goal: Goal, plateaus: Sequence[Plateau], baseline: Trial, before: Sequence[Trial] = ()
) -> Search:
    """Hold each plateau in turn until one overloads; the knee lies between the last that held and
    the first that did not.

    The plateaus are the budget: `goal.budget` and `goal.max_rate` are not looked at.
    """
    start = min(goal.start, baseline.step.rate)
    unbounded = replace(goal, start=start, max_rate=math.inf, budget=math.inf, quick=False)
    state = SearchState(unbounded, baseline)
    refused = refused_at_baseline(goal, baseline, before)
    if refused is not None:
        return no_knee(state, refused.code, refused.reason)
    try:
        for plateau in plateaus:
            settle = min(SETTLE, SETTLE_SHARE * plateau.duration)
            trial = yield from state.measure(
                Phase.STAIRCASE, plateau.rate, plateau.duration, settle
            )
            if trial.overload:
                break
    except TargetLost as lost:
        return no_knee(state, lost.code, str(lost))
    except HostBusy as busy:
        return no_knee(state, NoKneeCode.HOST_BUSY, f"a plateau could not be offered: {busy}")
    except (GeneratorLimited, OutOfBudget) as limited:
        limit = f"the generator could not offer a plateau: {limited}"
        return no_knee(state, NoKneeCode.GENERATOR_LIMITED, limit)
    knees = tuple(_knee_between(state, criterion) for criterion in goal.criteria)
    broken = [knee for knee in knees if isinstance(knee, Knee)]
    first = min(broken, key=lambda knee: knee.rate) if broken else knees[0]
    return result_of(state, first, knees)


def step_verdict(trial: Trial, criterion: Criterion) -> Judgement:
    """Whether one plateau met a criterion; UNKNOWN when it is invalid or too short to hold one
    allowed exceedance.
    """
    count = trial.counts.get(criterion.name)
    if trial.invalid or count is None:
        return Judgement.UNKNOWN
    if trial.overload:
        return Judgement.MISSED
    if count.n * max(criterion.share, LEAST_ALLOWED) < 1:
        return Judgement.UNKNOWN
    return Judgement.MET if count.share <= criterion.share else Judgement.MISSED


def _knee_between(state: SearchState, criterion: Criterion) -> Knee | NoKnee:
    """The knee that plateaus show: by the fit when they lie close enough together, else the gap
    itself.
    """
    low, high = state.goal.start, None
    trials = sorted(state.valid(), key=lambda trial: trial.step.rate)
    for trial in trials:
        if step_verdict(trial, criterion) is Judgement.MISSED:
            high = trial.step.rate
            break
        low = max(low, trial.step.rate)
    if high is None:
        reason = f"{criterion.name} held on every plateau, up to {format_rate(low)}"
        return NoKnee(NoKneeCode.BELOW_MAX_RATE, reason, low)
    curve = _fit_between(state, trials, criterion, low, high)
    if curve is not None:
        return fitted(state, curve)
    return bracketed(state, criterion, Bracket(low, high))


def _fit_between(
    state: SearchState,
    trials: Sequence[Trial],
    criterion: Criterion,
    low: PerSecond,
    high: PerSecond,
) -> KneeFit | None:
    if high / low > NEAR:
        return None
    index = state.goal.criteria.index(criterion)
    curve = fit([p for trial in trials for p in _block_points(trial, criterion, index)], criterion)
    if curve is None or len({p.rate for p in curve.points}) < 2:
        return None
    return curve if low / NEAR <= curve.knee <= high * NEAR else None


def _block_points(trial: Trial, criterion: Criterion, index: int) -> list[FitPoint]:
    """A plateau cut into blocks of seconds, so that their disagreement shows how bursty it was."""
    rate = trial.step.rate
    rows = [row for row in trial.rows if row.second >= trial.step.settle]
    if trial.overload or len(rows) < 2 * BLOCK:
        count = trial.counts[criterion.name]
        if trial.overload or not count.n:
            return [FitPoint(rate, rate * BLOCK, OVERLOADED * rate * BLOCK)]
        return [FitPoint(rate, count.n, count.exceed)]
    blocks = [rows[start : start + BLOCK] for start in range(0, len(rows) - BLOCK + 1, BLOCK)]
    return [
        FitPoint(rate, due, sum(row.exceed[index] for row in block))
        for block in blocks
        if criterion.route is None and (due := sum(row.due for row in block))
    ]
