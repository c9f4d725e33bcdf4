"""What a climb found, put as a knee with its interval and label, or as the reason there is none."""

from __future__ import annotations

import math
from collections import Counter

from perfhunt.analysis.knee.fit import (
    FITTED,
    SOFT,
    Fit,
    capacity_seen,
    completions,
    load_for,
    mostly_failures,
)
from perfhunt.analysis.knee.goal import Climb, Goal
from perfhunt.analysis.knee.log import Log
from perfhunt.analysis.knee.passes import fits_of, steering
from perfhunt.analysis.knee.ramp import CLEARLY, Bracket, clearly_over
from perfhunt.model.knee import Capacity, Knee, KneeLabel, NoKnee, NoKneeCode
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import PerSecond, format_duration, format_rate, format_share

WIDE = 0.15
ERRORS_AT_ONCE = 0.05


def refused_at_baseline(goal: Goal, baseline: Trial) -> NoKnee | None:
    """Why there is nothing to search for, if the baseline already says so."""
    if baseline.failed >= 3 and baseline.failed > ERRORS_AT_ONCE * baseline.n:
        return NoKnee(
            NoKneeCode.ERRORS_AT_ONCE,
            f"{baseline.failed} of {baseline.n} requests failed at the baseline of"
            f" {format_rate(goal.start)}",
        )
    if baseline.overload:
        reason = (
            f"the service does not hold the baseline of {format_rate(goal.start)}:"
            f" {baseline.overload}"
        )
        return NoKnee(NoKneeCode.MISSED_AT_BASELINE, reason, None, goal.start)
    for criterion in goal.criteria:
        count = baseline.counts.get(criterion.name)
        if count is None:
            continue
        expected = criterion.share * count.n
        if (
            count.exceed > expected + 5 * math.sqrt(expected) + 2
        ):  # bursts: binomial would refuse too soon
            return NoKnee(
                NoKneeCode.MISSED_AT_BASELINE,
                f"{criterion.name} is missed at the baseline already: {format_share(count.share)}"
                f" of {count.n} requests at {format_rate(goal.start)} were over"
                f" {format_duration(criterion.limit)}, {format_share(criterion.share)} may be",
                None,
                goal.start,
            )
    return None


def none(
    log: Log,
    code: NoKneeCode,
    reason: str,
    low: PerSecond | None = None,
    high: PerSecond | None = None,
) -> Climb:
    """The climb that found no knee."""
    why = NoKnee(code, reason, low, high)
    return Climb(
        why,
        tuple(why for _ in log.goal.criteria),
        capacity_of(log),
        tuple(log.trials),
        tuple(log.drains),
    )


def answer(log: Log, bracket: Bracket) -> Climb:
    """The climb's knee: fitted where there are passes to fit, else the bracket."""
    fits = fits_of(log) if any(t.step.phase is Phase.PASS for t in log.trials) else {}
    leader = steering(fits)
    if leader is None:
        first = next((c for c in log.goal.criteria if _broken(log, c)), log.goal.criteria[0])
        knees = tuple(
            bracketed(log, c, bracket) if _broken(log, c) else not_reached(log, c)
            for c in log.goal.criteria
        )
        return climbed(log, bracketed(log, first, bracket), knees)
    by_name = {name: fitted(log, fit) for name, fit in fits.items()}
    knees = tuple(by_name.get(c.name) or not_reached(log, c) for c in log.goal.criteria)
    return climbed(log, by_name[leader.criterion.name], knees)


def climbed(log: Log, knee: Knee | NoKnee, knees: tuple[Knee | NoKnee, ...]) -> Climb:
    """The climb with everything that was asked for."""
    return Climb(knee, knees, capacity_of(log), tuple(log.trials), tuple(log.drains))


def _broken(log: Log, criterion: Criterion) -> bool:
    return any(
        clearly_over(trial, criterion, 0.0)
        for trial in log.valid()
        if trial.step.phase is not Phase.CAPACITY
    )


def not_reached(log: Log, criterion: Criterion) -> NoKnee:
    """Another criterion breaks first, and this one held as far as the search went."""
    top = max((t.step.rate for t in log.valid() if t.step.phase in FITTED), default=log.goal.start)
    reason = (
        f"{criterion.name} held at every rate tried, up to {format_rate(top)}: another criterion"
        " breaks first"
    )
    return NoKnee(NoKneeCode.NOT_REACHED, reason, top)


def fitted(log: Log, fit: Fit) -> Knee:
    """The fitted knee with its label and what a narrower interval would cost."""
    failing = mostly_failures(log.trials, fit.criterion)
    if failing:
        label = KneeLabel.ERRORS
    elif fit.sharpness < SOFT:
        label = KneeLabel.SOFT
    else:
        wide = log.goal.quick or fit.half_width > WIDE
        label = KneeLabel.BRACKET if wide else KneeLabel.SHARP
    high = max(fit.high, _first_failure(log, fit)) if label == KneeLabel.BRACKET else fit.high
    high = min(high, max(fit.knee, _most_completed(log)))
    cost = load_for(0.05, fit.phi, fit.knee, fit.sharpness, fit.criterion.share)
    rule = f"SE(ln K) = sqrt(phi / (share·K·T)) / s with phi {fit.phi:.0f}, s {fit.sharpness:.1f}"
    note = f"±5 % would take about {format_duration(cost)} of load near the knee: {rule}"
    return Knee(
        rate=fit.knee,
        low=fit.low,
        high=high,
        confidence=fit.confidence,
        criterion=fit.criterion.name,
        limit=fit.criterion.limit,
        sharpness=fit.sharpness,
        label=label,
        phi=fit.phi,
        passes=log.passes,
        load=log.load,
        note=f"{_failures(log)}; {note}" if failing else note,
    )


def _first_failure(log: Log, fit: Fit) -> PerSecond:
    """The lowest rate that clearly failed, up to the capacity: short trials cannot rule out that
    the knee is just below.
    """
    tried = [t for t in log.valid() if t.step.phase is not Phase.CAPACITY]
    failed = min(
        (t.step.rate for t in tried if clearly_over(t, fit.criterion, CLEARLY)), default=fit.high
    )
    capacity = capacity_seen(log.trials)
    return min(failed, capacity) if capacity else failed


def _most_completed(log: Log) -> PerSecond:
    """What the service was ever seen to complete, at most: no knee lies beyond it. Infinite when
    nothing saturated it.
    """
    burst, seen = capacity_of(log), capacity_seen(log.trials)
    return max(burst.high, seen) if burst is not None and seen is not None else math.inf


def _failures(log: Log) -> str:
    """How the service refuses, in words: a limiter answers 429 or 503 while the others stay
    quick.
    """
    statuses: Counter[int] = Counter()
    for trial in log.valid():
        for route in trial.routes.values():
            statuses.update({code: many for code, many in route.statuses.items() if code >= 400})
    if not statuses:
        return "requests fail before they are slow"
    code, _ = statuses.most_common(1)[0]
    calm = log.baseline.response.p50 or 0.0
    last = [t.response.p50 or 0.0 for t in log.valid() if t.step.phase is Phase.PASS]
    if code in (429, 503) and last and last[-1] < 2 * calm + 0.005:
        return f"the service answers {code} with flat latency: a limiter, not a bottleneck"
    return f"requests fail with {code} before they are slow"


def bracketed(log: Log, criterion: Criterion, bracket: Bracket) -> Knee | NoKnee:
    """The gap between what held and what did not, where nothing could be fitted.

    Only a trial with enough requests to hold one allowed exceedance shows that a rate holds;
    lacking that, the start does.
    """
    if bracket.high is None:
        return NoKnee(NoKneeCode.BUDGET, "the budget ended before any rate failed", bracket.low)
    held = Bracket(_shown_to_hold(log, criterion, bracket.high), bracket.high)
    return Knee(
        rate=held.middle,
        low=held.low,
        high=bracket.high,
        confidence=0.9,
        criterion=criterion.name,
        limit=criterion.limit,
        sharpness=None,
        label=KneeLabel.BRACKET,
        load=log.load,
        note=(
            "between the last rate shown to hold and the first that did not: nothing near the knee"
            " was measured"
        ),
    )


def _shown_to_hold(log: Log, criterion: Criterion, below: PerSecond) -> PerSecond:
    held = [log.goal.start]
    for trial in log.valid():
        count = trial.counts.get(criterion.name)
        enough = (
            count is not None and count.n * criterion.share >= 1 and count.share <= criterion.share
        )
        if enough and not trial.overload and trial.step.rate < below:
            held.append(trial.step.rate)
    return max(held)


def capacity_of(log: Log) -> Capacity | None:
    """Good answers per second in the saturated burst, its interval from seconds as blocks; None
    when there was no burst.
    """
    for trial in reversed(log.valid()):
        if trial.step.phase is Phase.CAPACITY:
            rate = completions(trial)
            note = (
                ""
                if rate is not None
                else "at least: the service kept up with all that was offered"
            )
            rate = rate if rate is not None else trial.completed
            blocks = [row.done for row in trial.rows if row.second >= trial.step.settle]
            spread = _spread(blocks) if len(blocks) > 2 else 0.1 * rate
            return Capacity(rate, max(0.0, rate - spread), rate + spread, trial.step.rate, note)
    return None


def _spread(blocks: list[int]) -> float:
    mean = sum(blocks) / len(blocks)
    var = sum((b - mean) ** 2 for b in blocks) / (len(blocks) - 1)
    return 2.4 * math.sqrt(var / len(blocks))
