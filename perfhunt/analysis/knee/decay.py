"""The answer for a service that gets worse as it runs: no knee, and how fast it falls."""

from __future__ import annotations

from perfhunt.analysis.knee.answer import no_knee
from perfhunt.analysis.knee.curve.aging import Aging, aging
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.analysis.knee.state import SearchState
from perfhunt.analysis.trial.shift import ShiftedMeasure, shifts
from perfhunt.model.knee import NoKneeCode
from perfhunt.model.trial import Trial
from perfhunt.model.units import format_duration, format_rate, format_share


def decayed(state: SearchState) -> SearchResult:
    """The result of a search whose references became slower and stayed so."""
    references = state.references()
    first, last = references[0], references[-1]
    reason = (
        f"the service gets slower as it runs: at {format_rate(first.step.rate)}"
        f" {_slowed(first, last)}"
    )
    ages = [aging(state.baseline, state.valid(), criterion) for criterion in state.goal.criteria]
    known = [age for age in ages if age is not None]
    if not known:
        return no_knee(state, NoKneeCode.NEVER_STATIONARY, reason)
    leader = min(known, key=lambda age: age.now.value)
    return no_knee(
        state,
        NoKneeCode.NEVER_STATIONARY,
        f"{reason}; {_words(leader)}",
        leader.now.low,
        leader.fresh.high,
    )


def _slowed(first: Trial, last: Trial) -> str:
    changed = shifts(first, last)
    if last.overload or not changed:
        return f"it held at first, and at last did not: {last.overload}"
    worst = max(changed, key=lambda shift: shift.ratio.value)
    median = worst.of is ShiftedMeasure.MEDIAN
    values = [(t.response.p50 if median else t.response.mean) or 0.0 for t in (first, last)]
    ratio = worst.ratio
    return (
        f"the {worst.of} response went from {format_duration(values[0])} to"
        f" {format_duration(values[1])}, {ratio.value:.2f} times as long"
        f" ({ratio.low:.2f} to {ratio.high:.2f}, n={ratio.n} s)"
    )


def _words(age: Aging) -> str:
    fresh, now, fall = age.fresh, age.now, age.fall
    return (
        f"it held about {format_rate(fresh.value)} when the run began ({format_rate(fresh.low)} to"
        f" {format_rate(fresh.high)}) and {format_rate(now.value)} ({format_rate(now.low)} to"
        f" {format_rate(now.high)}) after {age.requests:,.0f} requests: {format_share(fall.value)}"
        f" ({format_share(fall.low)} to {format_share(fall.high)}) less with every 1,000 of them"
    )
