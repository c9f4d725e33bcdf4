"""What is said of a search that ended before any rate failed: how far the service held, and how
much of it the requests that were counted there show.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from scipy import stats

from perfhunt.analysis.knee.observed import holds
from perfhunt.analysis.knee.stages.ramp import Bracket
from perfhunt.analysis.knee.state import SearchState
from perfhunt.model.knee import NoKnee, NoKneeCode
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import FITTED_PHASES, SET_ASIDE, Phase, Trial
from perfhunt.model.units import PerSecond, Share, format_rate, format_share

CONFIDENCE: Share = 0.95  # one-sided, of how many requests beyond a limit a count leaves possible


def ended_early(state: SearchState, bracket: Bracket) -> NoKnee:
    """Why no rate was seen to fail: the budget ended, maybe with trials that were all set aside."""
    low, held = held_up_to(state, bracket), _shown(state, bracket)
    aside = [*takewhile(lambda trial: trial.invalid, reversed(state.trials))]
    if not aside:
        most = max((trial.step.rate for trial in state.trials), default=low)
        reason = f"the budget ended before any rate failed{held}"
        if most > low:
            reason += f"; the highest that was tried is {format_rate(most)}"
        return NoKnee(NoKneeCode.BUDGET, reason, low)
    last, n = aside[0], len(aside)
    were = "the trial at" if n == 1 else f"each of the last {n} trials, up to"
    why = last.invalid.removeprefix(SET_ASIDE).rstrip(".")
    at = format_rate(max(trial.step.rate for trial in aside))
    reason = f"the budget ended with nothing that can be believed of {were} {at}: {why}{held}"
    code = NoKneeCode.HOST_BUSY if last.set_aside else NoKneeCode.GENERATOR_LIMITED
    return NoKnee(NoKneeCode.BUDGET if state.valid() else code, reason, low)


def held_up_to(state: SearchState, bracket: Bracket) -> PerSecond:
    """The highest rate that held, below the one that failed; that of the bracket where no trial
    shows more.
    """
    return max((trial.step.rate for trial in _held(state, bracket)), default=bracket.low)


def _held(state: SearchState, bracket: Bracket) -> list[Trial]:
    """The trials that kept every criterion, from the bracket's lower end on."""
    phases = FITTED_PHASES | {Phase.RAMP}
    return [
        trial
        for trial in state.valid()
        if trial.n and trial.step.phase in phases and holds(trial, state.goal.criteria)
        if bracket.low <= trial.step.rate and (not bracket.high or trial.step.rate < bracket.high)
    ]


def _shown(state: SearchState, bracket: Bracket) -> str:
    """The highest rate that held, with its doubt, to end a sentence with; "" where none is above
    the start.
    """
    rate = held_up_to(state, bracket)
    trials = [trial for trial in _held(state, bracket) if trial.step.rate == rate]
    if not trials:
        return ""
    name, beyond, n, most, allowed = max(
        (_left_open(trials, criterion) for criterion in state.goal.criteria),
        key=lambda each: each[3] - each[4],
    )
    verb = "held" if most <= allowed else "seemed to hold"
    doubt = f"at most {format_share(most)} at {format_share(CONFIDENCE)}"
    counted = f"{beyond} of {n} requests beyond {name}: {doubt}"
    return f"; {format_rate(rate)} {verb} ({counted}, where {format_share(allowed)} may be)"


def _left_open(trials: Sequence[Trial], criterion: Criterion) -> tuple[str, int, int, Share, Share]:
    """Of a criterion its name, the requests beyond it of how many, the share that this leaves
    possible (Clopper and Pearson 1934), and the share that it allows.
    """
    counts = [t.counts[criterion.name] for t in trials if criterion.name in t.counts]
    n, beyond = sum(count.n for count in counts), sum(count.exceed for count in counts)
    most = float(stats.beta.ppf(CONFIDENCE, beyond + 1, n - beyond)) if n > beyond else 1.0
    return criterion.name, beyond, n, most, criterion.share
