"""The pass mark: objectives with units, and three ways an objective can come out."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf

from perfhunt.model.units import (
    Seconds,
    Share,
    format_bytes,
    format_duration,
    format_rate,
    format_share,
)


class Judgement(StrEnum):
    """How an objective came out. No data, or too little, is UNKNOWN and never counts as met."""

    MET = "MET"
    MISSED = "MISSED"
    UNKNOWN = "UNKNOWN"


class Measure(StrEnum):
    """What an objective is about; `Objective.key` refines it (`p99`, `http_5xx`, `cpu`...)."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"
    ERRORS = "errors"
    RESOURCES = "resources"


# A request in a hundred: what a service may fail where its SLO says nothing about failing.
FAILED_AT_MOST: Share = 0.01
_OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True, slots=True)
class Objective:
    """One line of the SLO: `latency.p99 <= 400 ms`.

    `limit` is in the measure's own unit: seconds for latency, requests/s for throughput, a share
    (0..1) for errors, CPU and memory (of what the target is allowed to use), a count for
    `oom_kills` and `transport`, per hour for what may grow (`memory_growth` in bytes). `window` is
    the time the objective must hold for, if one was given. `route` is None for all traffic, else an
    endpoint's name.
    """

    measure: Measure
    key: str
    op: str
    limit: float
    window: Seconds | None = None
    route: str | None = None

    @property
    def name(self) -> str:
        """`latency.p99` or `latency.p99[checkout]`; unique within an Slo."""
        return f"{self.measure}.{self.key}" + (f"[{self.route}]" if self.route else "")

    @property
    def percentile(self) -> Share | None:
        """0.99 for a latency objective on p99; None for all that is not a latency percentile."""
        if self.measure is Measure.LATENCY and self.key.startswith("p"):
            return float(self.key[1:]) / 100.0
        return None

    def holds(self, value: float) -> bool:
        """Whether `value` (in the limit's unit) satisfies the comparison."""
        return bool(_OPERATORS[self.op](value, self.limit))

    def format(self, value: float | None) -> str:
        """A value of this objective as a person reads it; an em dash when there is none."""
        if value is None:
            return "—"
        if self.measure is Measure.LATENCY:
            return format_duration(value)
        if self.measure is Measure.THROUGHPUT:
            return format_rate(value)
        if self.key in ("oom_kills", "transport"):
            return f"{value:g}"
        if self.key == "memory_growth":
            return f"{format_bytes(value)}/h"
        if self.key.endswith("_growth"):
            return f"{value:.3g}/h"
        return format_share(value)

    def __str__(self) -> str:
        window = f" for {format_duration(self.window)}" if self.window else ""
        return f"{self.name} {self.op} {self.format(self.limit)}{window}"


@dataclass(frozen=True, slots=True)
class Criterion:
    """What the knee search counts: requests slower than `limit` (or failed) may be at most `share`
    of them.

    Made from a latency objective (`p99 <= 400ms` is limit 0.4, share 0.01); `limit` is frozen for
    the whole investigation. `route` restricts it to one endpoint. A limit of infinity counts
    failures only.
    """

    name: str
    limit: Seconds
    share: Share
    route: str | None = None


@dataclass(frozen=True, slots=True)
class Slo:
    """Every objective a service must meet, and the load it must meet them at (None: the baseline
    rate).
    """

    objectives: tuple[Objective, ...]
    at_load: float | None = None
    min_samples: int = 100

    def criteria(self) -> tuple[Criterion, ...]:
        """What the knee search counts: latency percentiles, then shares of failed requests; all
        traffic before single routes.

        An SLO that has neither still breaks when too many requests fail.
        """
        slow = [
            Criterion(o.name, o.limit, 1.0 - p, o.route)
            for o in self.objectives
            if (p := o.percentile) is not None
        ]
        failing = [
            Criterion(o.name, inf, o.limit, o.route)
            for o in self.objectives
            if o.measure is Measure.ERRORS and o.op in ("<", "<=") and 0 < o.limit < 1
        ]
        criteria = sorted(slow, key=lambda c: (c.route is not None, c.share, c.limit)) + failing
        return tuple(criteria) or (Criterion("errors.any", inf, FAILED_AT_MOST),)


@dataclass(frozen=True, slots=True)
class SmokeLoad:
    """How a smoke asks: so many requests per second, for so many seconds. None: the rate that the
    SLO is judged at, and as long as its percentiles need.
    """

    rate: float | None = None
    duration: Seconds | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """An objective with the value that was measured (its unit is the objective's), from n
    observations.
    """

    objective: Objective
    value: float | None
    n: int
    verdict: Judgement
    note: str = ""


def judge(objective: Objective, value: float | None, n: int, need: int = 1) -> Judged:
    """MET or MISSED by the comparison; UNKNOWN when there is no value or fewer than `need`
    observations.
    """
    if value is None or n < need:
        note = "no data" if value is None or n == 0 else f"only {n} observations, {need} needed"
        verdict = Judgement.UNKNOWN
    else:
        note, verdict = "", Judgement.MET if objective.holds(value) else Judgement.MISSED
    return Judged(objective=objective, value=value, n=n, verdict=verdict, note=note)


def overall(judged: tuple[Judged, ...]) -> Judgement:
    """MISSED if any objective missed, else UNKNOWN if any is unknown or there are none, else
    MET.
    """
    verdicts = {j.verdict for j in judged}
    if Judgement.MISSED in verdicts:
        return Judgement.MISSED
    return Judgement.MET if verdicts == {Judgement.MET} else Judgement.UNKNOWN


def with_note(judged: Judged, note: str) -> Judged:
    """The same judgement, explained."""
    return replace(judged, note=note)
