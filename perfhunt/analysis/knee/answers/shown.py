"""What trials clearly show, which no answer may contradict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from perfhunt.analysis.trial.exceedance import CLEAR, Standing, excess_of, standing
from perfhunt.model.knee import Knee
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import FITTED_PHASES, Phase, Trial
from perfhunt.model.units import PerSecond

WITNESSES = 2  # trials that must agree: one in a thousand is called clear by chance
NEAR = 1.1  # times a rate, within which queues burst alike
_SHOWS_FAILURE = FITTED_PHASES | {Phase.RAMP}


@dataclass(frozen=True, slots=True)
class Shown:
    """The highest rate that clearly held and the lowest that clearly failed; 0 and infinity where
    trials are not that clear. `held` is always below `failed`.
    """

    held: PerSecond
    failed: PerSecond


def shown(trials: Iterable[Trial], criterion: Criterion) -> Shown:
    """What the trials together show of a criterion.

    A rate failed when the trials at it or below that clearly failed (`standing`, which allows for
    their bursts) are two more than those at it or above that clearly held; and the other way round.
    So one burst that outlasts a trial shows nothing, nor do trials that contradict each other. What
    held must have done so under the bursts of its neighbours too: a queue that makes hundreds late
    once a minute holds in most trials. Trials of the ramp are too short to show that a rate holds.
    """
    valid = [t for t in trials if not t.invalid and t.step.phase in _SHOWS_FAILURE]
    standings = [(trial, standing(trial, criterion)) for trial in valid]
    failures = [trial.step.rate for trial, stand in standings if stand is Standing.FAILED]
    holds = [
        trial.step.rate
        for trial, stand in standings
        if stand is Standing.HELD
        and trial.step.phase in FITTED_PHASES
        and _holds_under(_worst_near(trial, valid, criterion), trial, criterion)
    ]
    return Shown(
        held=max(
            (rate for rate in holds if _margin(rate, holds, failures) <= -WITNESSES), default=0.0
        ),
        failed=min(
            (rate for rate in failures if _margin(rate, holds, failures) >= WITNESSES),
            default=math.inf,
        ),
    )


def _worst_near(trial: Trial, trials: Sequence[Trial], criterion: Criterion) -> float:
    """The largest dispersion of trials near a trial's rate, its own included."""
    rate = trial.step.rate
    near = (
        t
        for t in trials
        if t.counts[criterion.name].n and rate / NEAR <= t.step.rate <= NEAR * rate
    )
    return max(excess_of(t, criterion).dispersion for t in near)


def _holds_under(dispersion: float, trial: Trial, criterion: Criterion) -> bool:
    excess = excess_of(trial, criterion)
    errors = excess.errors * math.sqrt(excess.dispersion / dispersion)
    return replace(excess, errors=errors, dispersion=dispersion).holding < CLEAR


def _margin(rate: PerSecond, holds: Sequence[PerSecond], failures: Sequence[PerSecond]) -> int:
    """By how many the failures at a rate or below outnumber the holds at it or above."""
    return sum(failed <= rate for failed in failures) - sum(held >= rate for held in holds)


def contradicts(knee: Knee, trials: Iterable[Trial], criterion: Criterion) -> bool:
    """Whether the whole interval of a knee lies above a rate that clearly failed, or below one that
    clearly held.
    """
    clear = shown(trials, criterion)
    return knee.low > clear.failed or knee.high < clear.held
