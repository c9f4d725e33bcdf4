"""What trials clearly show, which no answer may contradict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from perfhunt.analysis.trial.exceedance import Standing, standing
from perfhunt.model.knee import Knee
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import FITTED_PHASES, Phase, Trial
from perfhunt.model.units import PerSecond

WITNESSES = 2  # trials that must agree: one in a thousand is called clear by chance
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
    bursts) are two more than those at it or above that clearly held; and the other way round. So
    one burst that outlasts a trial shows nothing, nor do trials that contradict each other. Trials
    of the ramp are too short to show that a rate holds.
    """
    stands = [
        (trial.step, standing(trial, criterion))
        for trial in trials
        if not trial.invalid and trial.step.phase in _SHOWS_FAILURE
    ]
    failures = [step.rate for step, stand in stands if stand is Standing.FAILED]
    holds = [
        step.rate
        for step, stand in stands
        if stand is Standing.HELD and step.phase in FITTED_PHASES
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


def _margin(rate: PerSecond, holds: Sequence[PerSecond], failures: Sequence[PerSecond]) -> int:
    """By how many the failures at a rate or below outnumber the holds at it or above."""
    return sum(failed <= rate for failed in failures) - sum(held >= rate for held in holds)


def contradicts(knee: Knee, trials: Iterable[Trial], criterion: Criterion) -> bool:
    """Whether the whole interval of a knee lies above a rate that clearly failed, or below one that
    clearly held.
    """
    clear = shown(trials, criterion)
    return knee.low > clear.failed or knee.high < clear.held
