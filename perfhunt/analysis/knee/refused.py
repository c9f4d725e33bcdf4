"""Whether a baseline already says that there is nothing to search for, at its rate or below."""

from __future__ import annotations

import math
from collections.abc import Sequence

from perfhunt.analysis.knee.answers.failures import failures_of
from perfhunt.analysis.knee.answers.own_time import own_words, slow_by_itself
from perfhunt.analysis.knee.goal import Goal
from perfhunt.analysis.knee.observed import failed_at_once
from perfhunt.model.knee import NoKnee, NoKneeCode
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Count, Trial
from perfhunt.model.units import Seconds, Share, format_duration, format_rate, format_share

# A baseline is refused for errors with at least so many failures, and this share of requests.
FAILURES, ERRORS_AT_ONCE = 3, 0.05
# It is refused for lateness beyond so many standard deviations of a Poisson count, and two requests
# more: requests are late in bursts, so a binomial test would refuse too soon.
BURST_SIGMAS, BURST_REQUESTS = 5.0, 2
# With at least so many requests it is refused where hardly any was in time: of those that must be.
ENOUGH, FEW_IN_TIME = 10, 0.1
# Below the rate that a search was to start at, a rate holds where no more requests are late than
# may be, or a single one of ten.
ONE_LATE = 10


def refused_at_baseline(goal: Goal, baseline: Trial, before: Sequence[Trial] = ()) -> NoKnee | None:
    """Why there is nothing to search for, if the baseline already says so; `before` are baselines
    at higher rates that did not hold either.

    A rate that holds only while requests come one by one is no start for a search.
    """
    lowest = bool(before) and before[-1].step.rate <= baseline.step.rate
    why = _why(goal, baseline, strictly=bool(before)) or (
        _missed_together(before[-1]) if lowest else None
    )
    if _spoiled(baseline) and (why is not None or not baseline.n):
        at, task = format_rate(baseline.step.rate), slow_by_itself(baseline, goal.criteria)
        slow = "" if task is None else f"; {own_words(task)}"
        reason = f"the baseline of {at} cannot be believed: {baseline.invalid}{slow}"
        return NoKnee(NoKneeCode.GENERATOR_LIMITED, reason)
    if why is None or not before:
        return why
    tried = f" (and from {format_rate(before[0].step.rate)} down at every rate tried)"
    slow = _alone(goal, baseline) if why.code is NoKneeCode.MISSED_AT_BASELINE else ""
    return NoKnee(why.code, f"{why.reason}{tried}{slow}", why.low, why.high)


def _spoiled(baseline: Trial) -> bool:
    """Whether the generator, and nobody else, made a trial that shows nothing of the service."""
    return bool(baseline.invalid) and not baseline.stopped and not baseline.set_aside


def units(trial: Trial) -> str:
    """What is counted in a trial: `tasks` of a locustfile, or `requests`."""
    return "tasks" if trial.generator.tasks else "requests"


def _why(goal: Goal, baseline: Trial, strictly: bool) -> NoKnee | None:
    start = format_rate(baseline.step.rate)
    failed = failed_at_once(baseline)
    if failed >= FAILURES and failed > ERRORS_AT_ONCE * baseline.n:
        failures = failures_of((baseline,), None)
        how = f": {failures}" if failures is not None else ""
        what = units(baseline)
        reason = f"{failed} of {baseline.n} {what} failed at the baseline of {start}{how}"
        itself = failures is not None and failures.mishap
        return NoKnee(NoKneeCode.TEST_ITSELF if itself else NoKneeCode.ERRORS_AT_ONCE, reason)
    missed, task = _overdue(goal, baseline, strictly), slow_by_itself(baseline, goal.criteria)
    if missed is None or task is None:
        return missed
    return NoKnee(NoKneeCode.TEST_ITSELF, f"{missed.reason}; {own_words(task)}", None, missed.high)


def _overdue(goal: Goal, baseline: Trial, strictly: bool) -> NoKnee | None:
    """By too many requests in flight, or a criterion that is missed."""
    start = format_rate(baseline.step.rate)
    if baseline.overload:
        reason = f"the service does not hold the baseline of {start}: {baseline.overload}"
        return NoKnee(NoKneeCode.MISSED_AT_BASELINE, reason, None, baseline.step.rate)
    for criterion in goal.criteria:
        count = baseline.counts.get(criterion.name)
        if count is not None and _missed(count, criterion.share, strictly):
            reason = (
                f"{criterion.name} is missed at the baseline already: {format_share(count.share)}"
                f" of {count.n} {units(baseline)} at {start} {_were(criterion)},"
                f" {format_share(criterion.share)} may be"
            )
            return NoKnee(NoKneeCode.MISSED_AT_BASELINE, reason, None, baseline.step.rate)
    return None


def _were(criterion: Criterion) -> str:
    if not math.isfinite(criterion.limit):
        return "failed"
    return f"were over {format_duration(criterion.limit)}"


def _missed(count: Count, allowed: Share, strictly: bool) -> bool:
    expected = allowed * count.n
    if count.n >= ENOUGH and 1 - count.share < FEW_IN_TIME * (1 - allowed):
        return True
    if strictly and count.exceed > max(float(count.n >= ONE_LATE), expected):
        return True
    return count.exceed > expected + BURST_SIGMAS * math.sqrt(expected) + BURST_REQUESTS


def _missed_together(trial: Trial) -> NoKnee:
    rate = trial.step.rate
    reason = f"the service does not hold {format_rate(rate)}, the lowest rate tried"
    return NoKnee(NoKneeCode.MISSED_AT_BASELINE, reason, None, rate)


def _alone(goal: Goal, baseline: Trial) -> str:
    """What one request takes where hardly any meets another, against the strictest limit."""
    median, slowest, n = baseline.response.p50, baseline.response.max, baseline.n
    limit = _strictest(goal)
    if median is None or slowest is None or limit is None:
        return ""
    at_least = "at least " if baseline.response.censored > n / 2 else ""
    one = units(baseline).removesuffix("s")
    return (
        f": one {one} alone takes {at_least}{format_duration(median)} (median of {n} at"
        f" {format_rate(baseline.step.rate)}; the slowest {format_duration(slowest)}), the limit"
        f" is {format_duration(limit)}"
    )


def _strictest(goal: Goal) -> Seconds | None:
    limits = (criterion.limit for criterion in goal.criteria if math.isfinite(criterion.limit))
    return min(limits, default=None)
