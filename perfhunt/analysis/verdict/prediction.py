"""A stored prediction against what was measured after the change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from perfhunt.analysis.change.changed_frames import is_frame_of
from perfhunt.model.finding import Finding, WhatIf
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Knee, NoKnee
from perfhunt.model.profile import Frame
from perfhunt.model.run import Run
from perfhunt.model.units import Share
from perfhunt.model.verdict.attribution import Demand
from perfhunt.model.verdict.change import Change
from perfhunt.model.verdict.prediction import Predicted, PredictionScore
from perfhunt.model.verdict.verdict import Effect


def predicted_finding(change: Change, stored: Run) -> Finding | None:
    """The first finding with a prediction that names edited code; None when there is none."""
    for finding in stored.findings:
        frame = Frame(finding.function, finding.file)
        if finding.what_if is not None and any(is_frame_of(frame, a) for a in change.functions):
            return finding
    return None


def score_knee(finding: Finding, run: str, knee: Knee | NoKnee) -> PredictionScore | None:
    """The predicted knee against the one after the change; against the highest rate that held
    where there is none any more. None when neither was predicted or seen.
    """
    if isinstance(knee, Knee):
        seen = Interval(knee.rate, knee.low, knee.high, knee.passes, knee.confidence)
    elif knee.low:
        seen = Interval(knee.low, knee.low, knee.low, 1)
    else:
        return None
    what_if = finding.what_if
    if what_if is None:
        return None
    predicted = Interval(what_if.rate, what_if.low, what_if.high, 1)
    at_least = isinstance(knee, NoKnee)
    return _score(finding, what_if, run, Predicted.KNEE, predicted, seen, at_least)


def score_capacity(finding: Finding, run: str, effect: Effect) -> PredictionScore | None:
    """The predicted capacity against that of the edited version, measured beside the other; None
    when it was not predicted or not measured.
    """
    what_if, after = finding.what_if, effect.after
    if what_if is None or what_if.saturated is None or not after or effect.before is None:
        return None
    low, high = what_if.saturated_low, what_if.saturated_high
    value = what_if.saturated
    predicted = Interval(value, value if low is None else low, value if high is None else high, 1)
    # The effect's interval is of the change; `after` is a typical value of it.
    around = after / (1 + effect.speed.value)
    seen = Interval(
        after, around * (1 + effect.speed.low), around * (1 + effect.speed.high), effect.speed.n
    )
    at_least = effect.note.startswith("at least")
    return _score(finding, what_if, run, Predicted.CAPACITY, predicted, seen, at_least)


def _score(
    finding: Finding,
    what_if: WhatIf,
    run: str,
    of: Predicted,
    predicted: Interval,
    seen: Interval,
    at_least: bool,
) -> PredictionScore:
    return PredictionScore(
        run=run,
        function=finding.function,
        file=finding.file,
        of=of,
        predicted=predicted.value,
        low=predicted.low,
        high=predicted.high,
        observed=seen.value,
        observed_low=seen.low,
        observed_high=seen.high,
        at_least=what_if.at_least,
        observed_at_least=at_least,
    )


def removed(score: PredictionScore, demands: Sequence[Demand]) -> Share | None:
    """How much of the function's time per request the edit took out; None when it was not seen."""
    frame = Frame(score.function, score.file)
    for demand in demands:
        same = frame.function.rsplit(".", 1)[-1] == demand.function.rsplit(".", 1)[-1]
        if same and frame.file.endswith(demand.file) and demand.before.value > 0:
            return max(0.0, 1 - demand.after.value / demand.before.value)
    return None


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """How good predictions have been: of `n` that can be judged, the median of the absolute errors
    and the share within their intervals (None without any). Edits that took out only a part of what
    was predicted are left out of it: `partial`.
    """

    n: int
    median_error: Share | None
    within: Share | None
    partial: int = 0


def record_of(scores: Iterable[PredictionScore]) -> PredictionRecord:
    """How good these predictions were."""
    every = list(scores)
    whole = [s for s in every if s.as_supposed]
    # A lower bound that was kept is right, however far beyond it the service came.
    errors = [
        0.0 if s.at_least and s.error < 0 else abs(s.error) for s in whole if s.error is not None
    ]
    judged = [s.within for s in whole if s.within is not None]
    return PredictionRecord(
        n=len(judged),
        median_error=median(errors) if errors else None,
        within=sum(judged) / len(judged) if judged else None,
        partial=len(every) - len(whole),
    )
