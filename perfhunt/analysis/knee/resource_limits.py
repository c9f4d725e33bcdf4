"""At which rate a CPU or memory objective is used up, from what every trial used: latency alone is
not the whole SLO.

Where that comes first, it is the knee.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import hypot, inf

from scipy import stats

from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Knee, KneeLabel, NoKnee, NoKneeCode
from perfhunt.model.slo import Measure, Objective
from perfhunt.model.trial import Trial
from perfhunt.model.units import PerSecond, Share, format_rate

RATES = 4  # trials at different rates, at least: fewer make no line
GROWS = 3.0  # standard errors of the slope beyond which use grows with load
CONFIDENCE: Share = 0.95


@dataclass(frozen=True, slots=True)
class ResourceLimit:
    """The rate at which a resource objective is used up, in requests per second."""

    objective: Objective
    rate: Interval


def resource_limits(
    objectives: Sequence[Objective], trials: Sequence[Trial]
) -> tuple[ResourceLimit, ...]:
    """Where each CPU and memory objective is used up; those that load hardly uses are left out.

    Utilisation law (Denning and Buzen 1978): use grows in a line with completed requests, so a
    least-squares line over all valid trials is solved for the limit, with its 95 % interval by the
    delta method.
    """
    rates = (
        (objective, _solved(_uses(objective.key, trials), objective.limit))
        for objective in objectives
        if objective.measure is Measure.RESOURCES
        and objective.key in ("cpu", "memory")
        and objective.op in ("<", "<=")
    )
    return tuple(ResourceLimit(objective, rate) for objective, rate in rates if rate is not None)


def first_used_up(
    objectives: Sequence[Objective], trials: Sequence[Trial], before: PerSecond
) -> Interval | None:
    """The lowest rate at which a resource is used up, where that is below another rate and was
    tried or nearly.
    """
    limits = (limit.rate for limit in resource_limits(objectives, trials))
    return min(
        (rate for rate in limits if 0 < rate.value < before), key=lambda r: r.value, default=None
    )


def with_resources(
    result: SearchResult, objectives: Sequence[Objective], trials: Sequence[Trial]
) -> SearchResult:
    """The result with a knee for every resource objective that is used up at a rate which was
    tried.

    One whose whole interval lies below the knee of latencies and errors breaks first, and is the
    result's knee.
    """
    top = max((t.completed for t in trials if not t.invalid), default=0.0)
    limits = [limit for limit in resource_limits(objectives, trials) if limit.rate.value <= top]
    if not limits:
        return result
    knees = [_knee(limit) for limit in limits]
    first = min(knees, key=lambda knee: knee.rate)
    return replace(
        result,
        knee=first if _before(first, result.knee) else result.knee,
        knees=(*result.knees, *knees),
    )


def _before(knee: Knee, other: Knee | NoKnee) -> bool:
    if isinstance(other, Knee):
        return knee.high < other.low
    return other.code == NoKneeCode.BELOW_MAX_RATE


def _knee(limit: ResourceLimit) -> Knee:
    objective, rate = limit.objective, limit.rate
    return Knee(
        rate=rate.value,
        low=rate.low,
        high=rate.high,
        confidence=rate.confidence,
        criterion=objective.name,
        limit=inf,
        sharpness=None,
        label=KneeLabel.RESOURCE,
        note=f"where {objective} is used up, by a line through what {rate.n} trials used",
    )


def _uses(key: str, trials: Sequence[Trial]) -> list[tuple[PerSecond, Share]]:
    """(requests completed per second, share of the resource used) of every valid trial."""
    uses = []
    for trial in trials:
        used = trial.resources
        if used is not None and not trial.invalid:
            share = used.cpu_share if key == "cpu" else used.memory_share
            if share is not None:
                uses.append((trial.completed, share))
    return uses


def _solved(uses: Sequence[tuple[PerSecond, Share]], limit: Share) -> Interval | None:
    if len({round(rate, 3) for rate, _ in uses}) < RATES:
        return None
    rates, shares = zip(*uses, strict=True)
    line = stats.linregress(rates, shares)
    if line.slope <= 0 or line.slope < GROWS * line.stderr:
        return None
    rate = float((limit - line.intercept) / line.slope)
    t = stats.t.ppf(0.5 + CONFIDENCE / 2, len(uses) - 2)
    half = float(t * hypot(line.intercept_stderr / line.slope, rate * line.stderr / line.slope))
    return Interval(rate, max(0.0, rate - half), rate + half, len(uses), CONFIDENCE)


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
        _caution(limit, end)
        for limit in resource_limits(objectives, trials)
        if limit.rate.value < end
        and not (isinstance(knee, Knee) and knee.criterion == limit.objective.name)
    )


def _caution(limit: ResourceLimit, end: PerSecond) -> Caution:
    rate = limit.rate
    return Caution(
        CautionCode.RESOURCE_FIRST,
        f"{limit.objective} is reached at about {format_rate(rate.value)}"
        f" ({format_rate(rate.low)} to {format_rate(rate.high)}, n={rate.n}),"
        f" before the knee at {format_rate(end)}: that is what the SLO allows.",
        "Size for the lower rate, or say in [slo] resources what the service may really use.",
    )
