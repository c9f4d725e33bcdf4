"""At which rate a CPU or memory objective is used up, from what every trial used: latency alone is
not the whole SLO.

Where that comes first, it is the knee.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt

import numpy as np
from scipy import stats

from perfhunt.analysis.knee.goal import Climb
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Knee, KneeLabel, NoKnee
from perfhunt.model.slo import Measure, Objective
from perfhunt.model.trial import Trial
from perfhunt.model.units import Share, format_rate

_LEAST = 4  # trials at different rates; fewer make no line


@dataclass(frozen=True, slots=True)
class Reached:
    """The rate at which a resource objective is used up, in requests per second."""

    objective: Objective
    rate: Interval


def reached(objectives: Sequence[Objective], trials: Sequence[Trial]) -> tuple[Reached, ...]:
    """Where each CPU and memory objective is reached; those that load hardly uses are left out.

    Utilisation law (Denning and Buzen 1978): use grows in a line with completed requests, so a
    least-squares line over all valid trials is solved for the limit, with its 95 % interval by the
    delta method.
    """
    found = []
    for objective in objectives:
        if (
            objective.measure is Measure.RESOURCES
            and objective.key in ("cpu", "memory")
            and objective.op in ("<", "<=")
        ):
            rate = _solved(_used(objective.key, trials), objective.limit)
            if rate is not None:
                found.append(Reached(objective, rate))
    return tuple(found)


def with_resources(climb: Climb, objectives: Sequence[Objective], trials: Sequence[Trial]) -> Climb:
    """The climb with a knee for every resource objective that is used up at a rate which was tried.

    One whose whole interval lies below the knee of latencies and errors breaks first, and is the
    climb's knee.
    """
    top = max((t.completed for t in trials if not t.invalid), default=0.0)
    found = [_knee(one) for one in reached(objectives, trials) if one.rate.value <= top]
    if not found:
        return climb
    first = min(found, key=lambda knee: knee.rate)
    return replace(
        climb,
        knee=first if _before(first, climb.knee) else climb.knee,
        knees=(*climb.knees, *found),
    )


def _before(knee: Knee, other: Knee | NoKnee) -> bool:
    return knee.high < other.low if isinstance(other, Knee) else other.code == "below-max-rate"


def _knee(one: Reached) -> Knee:
    note = f"where {one.objective} is used up, by a line through what {one.rate.n} trials used"
    return Knee(
        rate=one.rate.value,
        low=one.rate.low,
        high=one.rate.high,
        confidence=one.rate.confidence,
        criterion=one.objective.name,
        limit=inf,
        sharpness=None,
        label=KneeLabel.RESOURCE,
        note=note,
    )


def _used(key: str, trials: Sequence[Trial]) -> list[tuple[float, Share]]:
    used = []
    for trial in trials:
        share = (
            None
            if trial.resources is None
            else trial.resources.cpu_share
            if key == "cpu"
            else trial.resources.memory_share
        )
        if share is not None and not trial.invalid:
            used.append((trial.completed, share))
    return used


def _solved(used: Sequence[tuple[float, Share]], limit: Share) -> Interval | None:
    if len({round(rate, 3) for rate, _ in used}) < _LEAST:
        return None
    rates, shares = (np.asarray(side, dtype=np.float64) for side in zip(*used, strict=True))
    line = stats.linregress(rates, shares)
    slope, start, error = float(line.slope), float(line.intercept), float(line.stderr)
    if slope <= 0 or slope < 3 * error:  # no use of it that grows with load
        return None
    rate = (limit - start) / slope
    t = float(stats.t.ppf(0.975, len(used) - 2))
    half = t * sqrt((float(line.intercept_stderr) / slope) ** 2 + (rate * error / slope) ** 2)
    return Interval(rate, max(0.0, rate - half), rate + half, len(used))


def resource_cautions(
    objectives: Sequence[Objective], trials: Sequence[Trial], knee: Knee | NoKnee
) -> tuple[Caution, ...]:
    """A caution for every resource objective that may be used up before the knee, though not beyond
    doubt.
    """
    end = knee.rate if isinstance(knee, Knee) else knee.low
    if end is None:
        return ()
    return tuple(
        Caution(
            CautionCode.RESOURCE_FIRST,
            f"{one.objective} is reached at about {format_rate(one.rate.value)}"
            f" ({format_rate(one.rate.low)} to {format_rate(one.rate.high)}, n={one.rate.n}),"
            f" before the knee at {format_rate(end)}: that is what the SLO allows.",
            "Size for the lower rate, or say in [slo] resources what the service may really use.",
        )
        for one in reached(objectives, trials)
        if one.rate.value < end
        and not (isinstance(knee, Knee) and knee.criterion == one.objective.name)
    )
