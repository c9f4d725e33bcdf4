"""What a climb found, put as a knee with its interval and label, or as the reason there is none."""

from __future__ import annotations

import math
from dataclasses import replace

from perfhunt.analysis.fit import Fit, load_for
from perfhunt.analysis.goal import Climb, Goal
from perfhunt.analysis.knee_log import Log
from perfhunt.analysis.knee_passes import fits_of, steering
from perfhunt.analysis.knee_ramp import Bracket
from perfhunt.model.knee import Capacity, Knee, NoKnee
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import PerSecond, format_duration, format_rate, format_share

SOFT = 4.0  # sharpness below which a knee is soft
WIDE = 0.15
ERRORS_AT_ONCE = 0.05


def refused_at_baseline(goal: Goal, baseline: Trial) -> NoKnee | None:
    """Why there is nothing to search for, if the baseline already says so."""
    if baseline.failed > max(5, ERRORS_AT_ONCE * baseline.n):
        return NoKnee(
            "errors-at-once", f"{baseline.failed} of {baseline.n} requests failed at the baseline of {format_rate(goal.start)}"
        )
    for criterion in goal.criteria:
        count = baseline.counts.get(criterion.name)
        if count is None:
            continue
        expected = criterion.share * count.n
        if count.exceed > expected + 3 * math.sqrt(expected) + 1:
            return NoKnee(
                "missed-at-baseline",
                f"{criterion.name} is missed at the baseline already: {format_share(count.share)} of {count.n} requests "
                f"at {format_rate(goal.start)} were over {format_duration(criterion.limit)}, "
                f"{format_share(criterion.share)} may be",
                None,
                goal.start,
            )
    return None


def none(log: Log, code: str, reason: str, low: PerSecond | None = None, high: PerSecond | None = None) -> Climb:
    """The climb that found no knee."""
    why = NoKnee(code, reason, low, high)
    return Climb(why, tuple(why for _ in log.goal.criteria), capacity_of(log), tuple(log.trials), tuple(log.drains))


def answer(log: Log, bracket: Bracket) -> Climb:
    """The climb's knee: fitted where there are passes to fit, else the bracket."""
    fits = fits_of(log)
    leader = steering(fits)
    if not any(t.step.phase is Phase.PASS for t in log.trials):
        leader = None
    knees = tuple(_knee_of(log, c, fits.get(c.name), bracket) for c in log.goal.criteria)
    first = next((k for c, k in zip(log.goal.criteria, knees, strict=True) if leader and c.name == leader.criterion.name), None)
    knee = first if first is not None else (bracketed(log, log.goal.criteria[0], bracket))
    return Climb(knee, knees, capacity_of(log), tuple(log.trials), tuple(log.drains))


def _knee_of(log: Log, criterion: Criterion, fit: Fit | None, bracket: Bracket) -> Knee | NoKnee:
    return bracketed(log, criterion, bracket) if fit is None else fitted(log, fit)


def fitted(log: Log, fit: Fit) -> Knee:
    soft = fit.sharpness < SOFT or fit.half_width > WIDE
    label = "bracket" if log.goal.quick else "soft" if soft else "sharp"
    cost = load_for(0.05, fit.phi, fit.knee, fit.sharpness, fit.criterion.share)
    knee = Knee(
        rate=fit.knee,
        low=fit.low,
        high=fit.high,
        confidence=0.95,
        criterion=fit.criterion.name,
        limit=fit.criterion.limit,
        sharpness=fit.sharpness,
        label=label,
        phi=fit.phi,
        passes=log.passes,
        load=log.load,
    )
    rule = f"SE(ln K) = sqrt(phi / (share·K·T)) / s with phi {fit.phi:.0f}, s {fit.sharpness:.1f}"
    return replace(knee, note=f"±5 % would take about {format_duration(cost)} of load near the knee: {rule}")


def bracketed(log: Log, criterion: Criterion, bracket: Bracket) -> Knee | NoKnee:
    if bracket.high is None:
        return NoKnee("budget", "the budget ended before any rate failed", bracket.low)
    return Knee(
        rate=bracket.middle,
        low=bracket.low,
        high=bracket.high,
        confidence=0.9,
        criterion=criterion.name,
        limit=criterion.limit,
        sharpness=None,
        label="bracket",
        load=log.load,
        note="between the last rate that held and the first that did not; short trials miss bursts, so it tends to be high",
    )


def capacity_of(log: Log) -> Capacity | None:
    """Completions per second in the saturated burst, its interval from seconds as blocks; None when there was no burst."""
    for trial in log.valid():
        if trial.step.phase is Phase.CAPACITY:
            blocks = [row.done for row in trial.rows if row.second >= trial.step.settle]
            spread = _spread(blocks) if len(blocks) > 2 else 0.1 * trial.completed
            note = "" if trial.completed < 0.97 * trial.step.rate else "at least: the service kept up with all that was offered"
            rate = trial.completed
            return Capacity(rate, rate - spread, rate + spread, trial.step.rate, note)
    return None


def _spread(blocks: list[int]) -> float:
    mean = sum(blocks) / len(blocks)
    var = sum((b - mean) ** 2 for b in blocks) / (len(blocks) - 1)
    return 2.4 * math.sqrt(var / len(blocks))
