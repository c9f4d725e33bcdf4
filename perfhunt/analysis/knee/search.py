"""The knee search as a generator: it yields what to measure and is sent what came of it, so live,
stored and simulated runs are one code path.

    baseline -> ramp -> one saturated burst -> coarse bisection -> ascending passes, fitted together
    -> knee
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from perfhunt.analysis.knee.answers.answer import answer, no_knee
from perfhunt.analysis.knee.answers.drift import decayed, doubted, drift_of
from perfhunt.analysis.knee.answers.unbroken import held_up_to
from perfhunt.analysis.knee.goal import (
    Goal,
    Search,
    SearchResult,
    SearchStage,
    StageResult,
    StepOrDrain,
    TrialOrDrained,
)
from perfhunt.analysis.knee.refused import refused_at_baseline
from perfhunt.analysis.knee.stages.passes import passes
from perfhunt.analysis.knee.stages.ramp import (
    Bracket,
    coarse,
    ramp,
    runs_full,
    saturate,
    split_budget,
    was_chance,
)
from perfhunt.analysis.knee.stages.recovery import back_from_overload, back_from_ramp
from perfhunt.analysis.knee.stages.reference import (
    ServiceChanged,
    first_reference,
    last_reference,
)
from perfhunt.analysis.knee.state import (
    GeneratorLimited,
    HostBusy,
    OutOfBudget,
    SearchState,
    TargetLost,
)
from perfhunt.model.knee import NoKneeCode
from perfhunt.model.trial import Drained, Step, Trial
from perfhunt.model.units import PerSecond

# Times that a search begins again because the service became quicker: two warm-ups are enough.
RESTARTS = 2


def search(goal: Goal, baseline: Trial, before: Sequence[Trial] = ()) -> Search:
    """Find where the first criterion breaks. `baseline` is a trial at the start rate, or at the
    first rate below it that holds, measured before; `before` are those that did not hold.
    """
    state = SearchState(replace(goal, start=min(goal.start, baseline.step.rate)), baseline)
    state.above = before[-1] if before else None
    refused = refused_at_baseline(goal, baseline, before)
    if refused is not None:
        return no_knee(state, refused.code, refused.reason, refused.low, refused.high)
    result = yield from _result(state)
    # Where other work comes and goes, what changed may be the host.
    return result if state.noisy else doubted(result, drift_of(state.references()))


def _result(state: SearchState) -> Search:
    goal, above = state.goal, state.above
    bracket = Bracket(goal.start, above.step.rate if above is not None else None)
    try:
        bracket = yield from ramp(state, goal.start)
        if bracket.high is not None:
            yield from first_reference(state, bracket.low)
            yield from back_from_ramp(state, bracket.high)
            bracket = yield from _settled(state, bracket)
        if bracket.high is None:
            held = f"every criterion held up to {goal.max_rate:g}/s, the ceiling ({goal.ceiling})"
            return no_knee(state, NoKneeCode.BELOW_MAX_RATE, held, bracket.low)
    except OutOfBudget:
        pass
    except ServiceChanged:
        return decayed(state)
    except TargetLost as lost:
        low = held_up_to(state, bracket)
        return no_knee(state, lost.code, str(lost), low, bracket.high)
    except HostBusy as busy:
        left = f"no trial was left: {busy}"
        return no_knee(state, NoKneeCode.HOST_BUSY, left, held_up_to(state, bracket))
    except GeneratorLimited as limited:
        limit = f"the generator could not offer {limited.trial.step.rate:g}/s: {limited}"
        return no_knee(state, NoKneeCode.GENERATOR_LIMITED, limit, held_up_to(state, bracket))
    return answer(state, bracket)


def _settled(state: SearchState, bracket: Bracket) -> SearchStage[Bracket]:
    """The bracket that the passes were placed by, of a service that stays as it is: begun again
    where it became quicker meanwhile. Raises ServiceChanged when it became slower.
    """
    for _ in range(RESTARTS):
        try:
            return (yield from _narrowed(state, bracket))
        except ServiceChanged as change:
            if change.slower:
                raise
            state.forget()
            again = yield from ramp(state, bracket.low)
            bracket = again if again.high is not None else bracket
    return bracket


def _narrowed(state: SearchState, bracket: Bracket) -> SearchStage[Bracket]:
    """The capacity, the bracket halved, and passes until the knee is known well enough or the
    budget is used up.
    """
    try:
        split = split_budget(state.goal.seconds)
        while bracket.high is not None:
            failed = _at(state, bracket.high)
            state.part = not (yield from runs_full(state, failed))
            if not (state.part and (yield from was_chance(state, failed))):
                break
            bracket = yield from ramp(state, bracket.high)
        if bracket.high is None:
            return bracket
        if not state.part:
            yield from saturate(state, failed, split.burst)
        yield from back_from_overload(state)
        bracket = yield from coarse(state, bracket, split.halvings)
        yield from passes(state, bracket.middle)
    except OutOfBudget:
        pass
    yield from last_reference(state)
    return bracket


def _at(state: SearchState, rate: PerSecond) -> Trial:
    """The latest trial at a rate."""
    known = [state.above] if state.above is not None else []
    trials = (*known, *state.valid())
    return next(trial for trial in reversed(trials) if trial.step.rate == rate)


def drive(
    stage: SearchStage[StageResult], measure: Callable[[StepOrDrain], TrialOrDrained]
) -> StageResult:
    """Run a search (or a warm-up) to its end, answering each step and drain with `measure`; its
    result.
    """
    try:
        ask = next(stage)
        while True:
            ask = stage.send(measure(ask))
    except StopIteration as end:
        result: StageResult = end.value
        return result


def replay(started: Search, trials: Sequence[Trial], drains: Sequence[Drained]) -> SearchResult:
    """The result that stored trials and drains lead to. Raises ValueError when the search asks for
    something else.
    """
    stored = _Stored(list(trials), list(drains))
    result = drive(started, stored.take)
    if spare := len(stored.trials) or len(stored.drains):
        raise ValueError(f"the search ended with {spare} stored outcomes left over")
    return result


def resume(
    started: SearchStage[StageResult],
    trials: Sequence[Trial],
    drains: Sequence[Drained],
    measure: Callable[[StepOrDrain], TrialOrDrained],
) -> StageResult:
    """Go on where an interrupted search stopped: stored outcomes answer first, then `measure`.
    Raises ValueError as replay does.

    The queue may have been left full, so whoever resumes lets the target drain before the first
    live step.
    """
    stored = _Stored(list(trials), list(drains))

    def answer(ask: StepOrDrain) -> TrialOrDrained:
        return stored.take(ask) if stored.has(ask) else measure(ask)

    return drive(started, answer)


class _Stored:
    """Outcomes of an earlier search, handed out in their order."""

    def __init__(self, trials: list[Trial], drains: list[Drained]) -> None:
        self.trials, self.drains = trials, drains

    def has(self, ask: StepOrDrain) -> bool:
        """Whether an outcome of that kind is left."""
        return bool(self.trials if isinstance(ask, Step) else self.drains)

    def take(self, ask: StepOrDrain) -> TrialOrDrained:
        """The next outcome; raises ValueError when it answers something else, or none is left."""
        if not isinstance(ask, Step):
            if not self.drains:
                raise ValueError("the search asks for a drain, and none is left")
            return self.drains.pop(0)
        if not self.trials:
            at = f"{ask.phase} at {ask.rate:g}/s"
            raise ValueError(f"the search asks for {at}, and no trial is left")
        trial = self.trials.pop(0)
        if trial.step != ask:
            raise ValueError(
                f"the search asks for {ask}, but the stored trial answers {trial.step}"
            )
        return trial
