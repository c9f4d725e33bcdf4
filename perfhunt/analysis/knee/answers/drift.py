"""Whether the service changed while it was searched, and the answer where it got worse: no knee,
and how fast what it holds falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from perfhunt.analysis.knee.answers.answer import no_knee
from perfhunt.analysis.knee.curve.aging import Aging, aging
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.analysis.knee.state import SearchState
from perfhunt.analysis.trial.shift import Shift, ShiftedMeasure, shifts, slower
from perfhunt.model.knee import Drift, DriftKind, Knee, KneeLabel, NoKneeCode, Slope
from perfhunt.model.trial import Trial
from perfhunt.model.units import PerSecond, format_duration, format_rate, format_share

# A service is called steady where one that became this many times as slow would have been seen.
TELLS = 2.0


def drift_of(references: Sequence[Trial]) -> Drift | None:
    """What trials of one step say, oldest first; None when it was not asked twice."""
    if len(references) < 2:
        return None
    first, last = references[0], references[-1]
    found = shifts(first, last)
    furthest = _furthest(found)
    kind: DriftKind | None = DriftKind.STEADY
    if slower(first, last):
        # Once may be a stumble: the search asks again, and ends where it is slower still.
        twice = len(references) > 2 and slower(first, references[-2])
        kind = DriftKind.SLOWER if twice else None
    elif any(shift.quicker for shift in found):
        kind = DriftKind.QUICKER
    elif not any(s.ratio.low > 1 / TELLS and s.ratio.high < TELLS for s in found):
        kind = DriftKind.UNCLEAR
    return Drift(
        kind=kind,
        rate=first.step.rate,
        ratio=furthest.ratio if furthest else None,
        sentence=_sentence(kind, first, last),
    )


def decayed(state: SearchState) -> SearchResult:
    """The result of a search whose references became slower and stayed so."""
    references = state.references()
    reason = f"the service gets slower as it runs: {_change(references[0], references[-1])}"
    ages = [aging(state.baseline, state.valid(), criterion) for criterion in state.goal.criteria]
    known = [age for age in ages if age is not None]
    if not known:
        return no_knee(state, NoKneeCode.NEVER_STATIONARY, reason)
    leader = min(known, key=lambda age: age.now.value)
    reason = f"{reason}; {_held(leader)}"
    low, high = leader.now.low, leader.fresh.high
    return no_knee(state, NoKneeCode.NEVER_STATIONARY, reason, low, high)


def with_slopes(result: SearchResult, slopes: tuple[Slope, ...]) -> SearchResult:
    """The result with what grew; nothing where nothing was measured often enough."""
    if not slopes and result.drift is None:
        return result
    drift = result.drift or Drift(None, None, None, "no step was asked twice")
    return replace(result, drift=replace(drift, slopes=slopes))


def doubted(result: SearchResult, drift: Drift | None) -> SearchResult:
    """The result with what its references say. Where the service was still changing at the end, the
    knee's interval is widened by as much as its answers changed, on the side that it moves to.
    """
    knee = result.knee
    if not isinstance(knee, Knee) or drift is None or drift.ratio is None:
        return replace(result, drift=drift)
    if drift.kind in (DriftKind.STEADY, DriftKind.UNCLEAR):
        return replace(result, drift=drift)
    note = "; ".join(filter(None, (drift.sentence, knee.note)))
    low, high = knee.low * min(1.0, 1 / drift.ratio.value), knee.high
    if drift.kind is DriftKind.QUICKER:
        low, high = knee.low, max(knee.high, min(knee.high / drift.ratio.value, _most(result)))
    wider = replace(knee, low=low, high=high, label=KneeLabel.BRACKET, note=note)
    knees = tuple(wider if each is knee or each == knee else each for each in result.knees)
    return replace(result, knee=wider, knees=knees, drift=drift)


def _most(result: SearchResult) -> PerSecond:
    """The most that the service was seen to complete: no knee lies beyond it."""
    seen = [trial.completed for trial in result.trials if not trial.invalid]
    return max([*seen, result.capacity.high if result.capacity else 0.0])


def _furthest(found: tuple[Shift, ...]) -> Shift | None:
    """The shift that is the farthest from none, whatever chance does."""
    return max(found, key=lambda s: max(s.ratio.low, 1 / s.ratio.high), default=None)


def _sentence(kind: DriftKind | None, first: Trial, last: Trial) -> str:
    change = _change(first, last)
    if kind is DriftKind.STEADY:
        return f"the service answered one step alike, early and late: {change}"
    if kind is DriftKind.UNCLEAR:
        return f"too little was asked to see whether the service changes as it runs: {change}"
    if kind is DriftKind.SLOWER:
        return f"the service gets slower as it runs: {change}"
    if kind is DriftKind.QUICKER:
        return f"the service was still getting quicker, so it may hold more: {change}"
    return f"the service was slower at the last look, and there was no time for another: {change}"


def _change(first: Trial, last: Trial) -> str:
    at, furthest = f"at {format_rate(first.step.rate)}", _furthest(shifts(first, last))
    if furthest is None or (last.overload and not first.overload):
        return f"{at} it held at first and not at last: {last.overload or 'too few requests'}"
    median, ratio = furthest.of is ShiftedMeasure.MEDIAN, furthest.ratio
    before, after = (
        format_duration((t.response.p50 if median else t.response.mean) or 0.0)
        for t in (first, last)
    )
    return (
        f"{at} the {furthest.of} response went from {before} to {after}, {ratio.value:.2f} times"
        f" as long ({ratio.low:.2f} to {ratio.high:.2f}, n={ratio.n} s)"
    )


def _held(age: Aging) -> str:
    fresh, now, fall = age.fresh, age.now, age.fall
    return (
        f"it held about {format_rate(fresh.value)} when the run began ({format_rate(fresh.low)} to"
        f" {format_rate(fresh.high)}) and {format_rate(now.value)} ({format_rate(now.low)} to"
        f" {format_rate(now.high)}) after {age.requests:,.0f} requests: {format_share(fall.value)}"
        f" ({format_share(fall.low)} to {format_share(fall.high)}) less with every 1,000 of them"
    )
