"""Trials as points of the exceedance curve: a rate, its requests, and how many were late."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from perfhunt.analysis.knee.curve.shapes import CEILING
from perfhunt.analysis.knee.observed import mostly_failures
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import FITTED_PHASES, Phase, Trial
from perfhunt.model.units import PerSecond, Share


@dataclass(frozen=True, slots=True)
class FitPoint:
    """One trial as the fit takes it: n requests at a rate, of which `exceed` were over the limit
    (imputed when aborted).
    """

    rate: PerSecond
    n: float
    exceed: float

    @property
    def share(self) -> Share:
        return self.exceed / self.n


def points(
    trials: Iterable[Trial],
    criterion: Criterion,
    capacity: PerSecond | None = None,
    phases: frozenset[Phase] = FITTED_PHASES,
) -> tuple[FitPoint, ...]:
    """The trials that may be fitted, as points: those of the phases, valid ones."""
    fitted = []
    for trial in trials:
        count = trial.counts.get(criterion.name)
        if trial.invalid or trial.step.phase not in phases or count is None:
            continue
        if trial.overload:
            fitted.append(_aborted(trial, criterion, capacity))
        elif count.n:
            fitted.append(FitPoint(trial.step.rate, count.n, count.exceed))
    return tuple(fitted)


def _aborted(trial: Trial, criterion: Criterion, capacity: PerSecond | None) -> FitPoint:
    """An aborted trial counted whole, as if load had gone on: what waited at the abort, and while
    the queue drained.

    The backlog at the abort is about 1.5·r·L; until it is below r·L everybody is late, and it
    shrinks by C - r a second. Where requests failed rather than waited, what was counted is all
    there is to say.
    """
    count, rate = trial.counts[criterion.name], trial.step.rate
    if mostly_failures((trial,), criterion) or not math.isfinite(criterion.limit):
        return FitPoint(rate, max(1, count.n), count.exceed)
    part = count.n / trial.n if trial.n else 1.0
    n = max(float(count.n), part * rate * (trial.step.duration - trial.step.settle))
    exceed = max(float(count.exceed), 0.3 * max(count.n, part * rate))
    spare = (capacity or 0.0) - rate
    exceed = exceed + part * rate * (0.5 * rate * criterion.limit + 5) / spare if spare > 0 else n
    return FitPoint(rate, n, min(exceed, CEILING * n))
