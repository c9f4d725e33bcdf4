"""The classic ramp: plateaus written down beforehand, a verdict for each, and what they say about
the knee.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from perfhunt.analysis.knee.answer import bracketed, fitted, none, refused_at_baseline
from perfhunt.analysis.knee.fit import Fit, Point, fit
from perfhunt.analysis.knee.goal import Climb, Goal, Search
from perfhunt.analysis.knee.log import GeneratorLimited, Log, OutOfBudget, TargetLost
from perfhunt.analysis.knee.ramp import Bracket
from perfhunt.model.knee import Knee, NoKnee, NoKneeCode
from perfhunt.model.question import Plateau
from perfhunt.model.slo import Criterion, Judgement
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import Seconds, format_rate

SETTLE: Seconds = 2.0
BLOCK = 10  # seconds: exceedances within one are of the same burst, between two hardly
NEAR = 1.5  # plateaus further apart than this factor leave too much to the curve's shape


def staircase(goal: Goal, plateaus: Sequence[Plateau], baseline: Trial) -> Search:
    """Hold each plateau in turn until one overloads; the knee lies between the last that held and
    the first that did not.

    The plateaus are the budget: `goal.budget` and `goal.max_rate` are not looked at.
    """
    log = Log(
        Goal(
            goal.criteria, goal.start, math.inf, math.inf, goal.precision, goal.arrivals, goal.seed
        ),
        baseline,
    )
    refused = refused_at_baseline(goal, baseline)
    if refused is not None:
        return none(log, refused.code, refused.reason)
    try:
        for plateau in plateaus:
            settle = min(SETTLE, 0.1 * plateau.duration)
            trial = yield from log.measure(Phase.STAIRCASE, plateau.rate, plateau.duration, settle)
            if trial.overload:
                break
    except TargetLost:
        return none(log, NoKneeCode.TARGET_LOST, "the target did not come back after an overload")
    except (GeneratorLimited, OutOfBudget) as limited:
        return none(
            log, NoKneeCode.GENERATOR_LIMITED, f"the generator could not offer a plateau: {limited}"
        )
    knees = tuple(knee_between(log, criterion) for criterion in goal.criteria)
    found = [knee for knee in knees if isinstance(knee, Knee)]
    knee = min(found, key=lambda k: k.rate) if found else knees[0]
    return Climb(knee, knees, None, tuple(log.trials), tuple(log.drains))


def step_verdict(trial: Trial, criterion: Criterion) -> Judgement:
    """Whether one plateau met a criterion; UNKNOWN when it is invalid or too short to hold one
    allowed exceedance.
    """
    count = trial.counts.get(criterion.name)
    if trial.invalid or count is None:
        return Judgement.UNKNOWN
    if trial.overload:
        return Judgement.MISSED
    if count.n * max(criterion.share, 1e-3) < 1:
        return Judgement.UNKNOWN
    return Judgement.MET if count.share <= criterion.share else Judgement.MISSED


def knee_between(log: Log, criterion: Criterion) -> Knee | NoKnee:
    """The knee that plateaus show: by the fit when they lie close enough together, else the gap
    itself.
    """
    trials = sorted(log.valid(), key=lambda t: t.step.rate)
    low, high = log.goal.start, None
    for trial in trials:
        if step_verdict(trial, criterion) is Judgement.MISSED:
            high = trial.step.rate
            break
        low = max(low, trial.step.rate)
    if high is None:
        reason = f"{criterion.name} held on every plateau, up to {format_rate(low)}"
        return NoKnee(NoKneeCode.BELOW_MAX_RATE, reason, low)
    curve = _curve(log, trials, criterion, low, high)
    if curve is not None:
        return fitted(log, curve)
    return bracketed(log, criterion, Bracket(low, high))


def _curve(
    log: Log, trials: list[Trial], criterion: Criterion, low: float, high: float
) -> Fit | None:
    if high / low > NEAR:
        return None
    index = log.goal.criteria.index(criterion)
    seen = [point for trial in trials for point in _blocks(trial, criterion, index)]
    curve = fit(seen, criterion)
    if (
        curve is None
        or len({p.rate for p in curve.points}) < 2
        or not low / NEAR <= curve.knee <= high * NEAR
    ):
        return None
    return curve


def _blocks(trial: Trial, criterion: Criterion, index: int) -> list[Point]:
    """A plateau cut into blocks of seconds, so that their disagreement shows how bursty it was."""
    rows = [row for row in trial.rows if row.second >= trial.step.settle]
    if trial.overload or len(rows) < 2 * BLOCK:
        count = trial.counts[criterion.name]
        if trial.overload or not count.n:
            return [
                Point(trial.step.rate, trial.step.rate * BLOCK, 0.9 * trial.step.rate * BLOCK, True)
            ]
        return [Point(trial.step.rate, count.n, count.exceed, False)]
    found = []
    for start in range(0, len(rows) - BLOCK + 1, BLOCK):
        block = rows[start : start + BLOCK]
        n = sum(row.due for row in block)
        if n and criterion.route is None:
            found.append(Point(trial.step.rate, n, sum(row.exceed[index] for row in block), False))
    return found
