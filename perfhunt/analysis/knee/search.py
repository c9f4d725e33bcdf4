"""The knee search as a generator: it yields what to measure and is sent what came of it, so live,
stored and simulated runs are one code path.

    baseline -> ramp -> one saturated burst -> coarse bisection -> ascending passes, fitted together
    -> knee
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from perfhunt.analysis.knee.answer import answer, none, refused_at_baseline
from perfhunt.analysis.knee.goal import Ask, Climb, Goal, Observation, Search
from perfhunt.analysis.knee.log import GeneratorLimited, Log, OutOfBudget, TargetLost
from perfhunt.analysis.knee.passes import passes
from perfhunt.analysis.knee.ramp import Bracket, coarse, plan_for, ramp, saturate
from perfhunt.model.knee import NoKneeCode
from perfhunt.model.trial import Drain, Drained, Step, Trial

__all__ = ["Ask", "Climb", "Goal", "Observation", "Search", "drive", "replay", "resume", "search"]


Answer = TypeVar("Answer")


def search(goal: Goal, baseline: Trial) -> Search:
    """Find where the first criterion breaks. `baseline` is a trial at the start rate, measured
    before.
    """
    log = Log(goal, baseline)
    refused = refused_at_baseline(goal, baseline)
    if refused is not None:
        return none(log, refused.code, refused.reason)
    bracket = Bracket(goal.start, None)
    try:
        bracket = yield from ramp(log)
        if bracket.high is None:
            return none(
                log,
                NoKneeCode.BELOW_MAX_RATE,
                f"every criterion held up to the ceiling of {goal.max_rate:g}/s",
                bracket.low,
            )
        plan = plan_for(goal.seconds)
        yield from saturate(log, bracket.high, plan.burst)
        bracket = yield from coarse(log, bracket, plan.halvings)
        yield from passes(log, bracket.middle)
    except OutOfBudget:
        pass
    except TargetLost:
        return none(
            log,
            NoKneeCode.TARGET_LOST,
            "the target did not come back after an overload",
            bracket.low,
            bracket.high,
        )
    except GeneratorLimited as limited:
        rate = limited.trial.step.rate
        return none(
            log,
            NoKneeCode.GENERATOR_LIMITED,
            f"the generator could not offer {rate:g}/s: {limited}",
            bracket.low,
        )
    return answer(log, bracket)


def drive(climb: Generator[Ask, Observation, Answer], ask: Callable[[Ask], Observation]) -> Answer:
    """Run a search (or a warm-up) to its end, answering each step and drain with `ask`; what it
    found.
    """
    try:
        wanted = next(climb)
        while True:
            wanted = climb.send(ask(wanted))
    except StopIteration as end:
        found: Answer = end.value
        return found


def replay(climb: Search, trials: Sequence[Trial], drains: Sequence[Drained]) -> Climb:
    """The climb that stored trials and drains lead to. Raises ValueError when the search asks for
    something else.
    """
    stored_trials, stored_drains = iter(trials), iter(drains)

    def ask(wanted: Ask) -> Observation:
        return (
            _stored(wanted, next(stored_trials, None), None)
            if isinstance(wanted, Step)
            else _stored(wanted, None, next(stored_drains, None))
        )

    found = drive(climb, ask)
    if (spare := sum(1 for _ in stored_trials)) or (spare := sum(1 for _ in stored_drains)):
        raise ValueError(f"the search ended with {spare} stored outcomes left over")
    return found


def resume(
    climb: Search,
    trials: Sequence[Trial],
    drains: Sequence[Drained],
    ask: Callable[[Ask], Observation],
) -> Climb:
    """Go on where an interrupted search stopped: stored outcomes answer first, then `ask`. Raises
    ValueError as replay does.

    The queue may have been left full, so whoever resumes lets the target drain before the first
    live step.
    """
    stored_trials, stored_drains = list(trials), list(drains)

    def either(wanted: Ask) -> Observation:
        if isinstance(wanted, Step) and stored_trials:
            return _stored(wanted, stored_trials.pop(0), None)
        if isinstance(wanted, Drain) and stored_drains:
            return _stored(wanted, None, stored_drains.pop(0))
        return ask(wanted)

    return drive(climb, either)


def _stored(wanted: Ask, trial: Trial | None, drained: Drained | None) -> Observation:
    if isinstance(wanted, Step):
        if trial is None:
            raise ValueError(
                f"the search asks for {wanted.phase} at {wanted.rate:g}/s, and no trial is left"
            )
        if trial.step != wanted:
            raise ValueError(
                f"the search asks for {wanted}, but the stored trial answers {trial.step}"
            )
        return trial
    if drained is None:
        raise ValueError("the search asks for a drain, and none is left")
    return drained
