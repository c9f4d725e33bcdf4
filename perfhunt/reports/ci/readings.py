"""The numbers of a run, or of a verdict, that are worth following from commit to commit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from perfhunt.model.knee import Knee
from perfhunt.model.run import Run
from perfhunt.model.slo import Judged, Measure
from perfhunt.model.trial import Trial
from perfhunt.model.verdict.verdict import Verdict


class ReadingUnit(StrEnum):
    """What a reading is counted in."""

    RATE = "/s"
    SECONDS = "s"
    SHARE = "share"
    BYTES = "B"
    COUNT = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One number in its unit, with its interval where it has one; `higher` says whether more is
    better. `name` is the same from run to run: `knee`, `latency.p99[checkout]`.
    """

    name: str
    title: str
    unit: ReadingUnit
    value: float
    low: float | None = None
    high: float | None = None
    higher: bool = False


_UNITS = {Measure.LATENCY: ReadingUnit.SECONDS, Measure.THROUGHPUT: ReadingUnit.RATE}
_SHARES = ("cpu", "memory")  # of resources, what is a share of what the target may use


def run_readings(run: Run) -> tuple[Reading, ...]:
    """Knee, capacity, what each objective measured, and the latency at the baseline; those that are
    not known are left out.
    """
    found = (*_rates(run), *map(_objective, run.judged), *_baseline(run.baseline))
    return tuple(r for r in found if r is not None and math.isfinite(r.value))


def verdict_readings(verdict: Verdict) -> tuple[Reading, ...]:
    """What each endpoint is after the change."""
    return tuple(
        Reading(
            name=effect.endpoint,
            title=effect.title,
            unit=_unit_of(effect.unit),
            value=effect.after,
            higher=effect.unit == ReadingUnit.RATE,
        )
        for effect in verdict.effects
        if effect.after is not None and math.isfinite(effect.after)
    )


def _unit_of(unit: str) -> ReadingUnit:
    return ReadingUnit(unit) if unit in list(ReadingUnit) else ReadingUnit.COUNT


def _rates(run: Run) -> Iterator[Reading]:
    knee = run.knee if isinstance(run.knee, Knee) else None
    rates = (
        ("knee", "load held before the SLO breaks", knee),
        ("capacity", "answers per second when saturated", run.capacity),
    )
    for name, title, rate in rates:
        if rate is not None:
            yield Reading(
                name=name,
                title=title,
                unit=ReadingUnit.RATE,
                value=rate.rate,
                low=rate.low,
                high=rate.high,
                higher=True,
            )


def _objective(judged: Judged) -> Reading | None:
    objective = judged.objective
    if judged.value is None:
        return None
    share = objective.measure is Measure.ERRORS and objective.key != "transport"
    share |= objective.key in _SHARES
    other = ReadingUnit.SHARE if share else ReadingUnit.COUNT
    return Reading(
        name=objective.name,
        title=f"{objective.name}, asked {objective.op} {objective.format(objective.limit)}",
        unit=_UNITS.get(objective.measure, other),
        value=judged.value,
        higher=objective.op.startswith(">"),
    )


def _baseline(trial: Trial | None) -> Iterator[Reading]:
    for percentile in ("p50", "p95", "p99"):
        latency = getattr(trial.response, percentile) if trial is not None else None
        if latency is not None:
            yield Reading(
                name=f"baseline.{percentile}",
                title=f"{percentile} of responses at the baseline",
                unit=ReadingUnit.SECONDS,
                value=latency,
            )
