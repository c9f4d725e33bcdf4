"""What is compared between two builds, and how each reading becomes "as if everything ran x %
faster".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import PerSecond, Seconds, Share


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing that is compared. Weights share out the error rate in advance, most to the
    quietest.

    `bounds` says whether "no change" needs this endpoint to be shown within its margins; `higher`
    whether more is better.
    """

    name: str
    title: str
    unit: str
    weight: float
    higher: bool
    bounds: bool


KNEE = Endpoint("knee", "requests over the limit, near the knee", "share", 0.10, False, False)
MEDIAN = Endpoint("median", "median response at fixed rates", "s", 0.20, False, True)
CAPACITY = Endpoint("capacity", "saturated capacity", "/s", 0.20, True, True)
CPU = Endpoint("cpu", "CPU per request", "s", 0.50, False, False)

WALL = Endpoint("wall", "wall clock", "s", 0.45, False, True)
COMMAND_CPU = Endpoint("command_cpu", "CPU time", "s", 0.45, False, True)
PEAK_RSS = Endpoint("peak_rss", "peak memory", "B", 0.10, False, False)

ENDPOINTS = {e.name: e for e in (KNEE, MEDIAN, CAPACITY, CPU, WALL, COMMAND_CPU, PEAK_RSS)}


_UNSATURATED: Share = 0.97  # of what was offered: a build that answers this much was not saturated


@dataclass(frozen=True, slots=True)
class Slopes:
    """How steeply the baseline's readings move near the knee, taken once from the baseline and
    frozen.

    `sharpness` is d ln(share over the limit) / d ln rate; `median` is d ln(median response) / d ln
    rate.
    """

    sharpness: float = 10.0
    median: float = 1.0

    @property
    def median_of_speed(self) -> float:
        """d ln(median) / d ln(speed). Response times of a queue scale: W(rate, speed) = f(rate /
        speed) / speed.
        """
        return -(1.0 + self.median)


@dataclass(frozen=True, slots=True)
class BuildReading:
    """One process life of one build: log readings per endpoint name, and the same in natural units
    for people.

    `failed` is the share of requests that were answered wrongly or not at all; `notes` says per
    endpoint what to know.
    """

    logs: Mapping[str, float]
    values: Mapping[str, float]
    failed: Share = 0.0
    notes: Mapping[str, str] = field(default_factory=dict)


def _fixed(trials: Sequence[Trial]) -> list[Trial]:
    # An overloaded trial stays in: leaving it out would compare one build's easy rates with the
    # other's hard ones.
    return [t for t in trials if t.step.phase is Phase.FIXED and t.response.p50]


def answered(trial: Trial) -> float:
    """Answers over the whole trial, settle included: what its CPU time was spent on."""
    if trial.rows:
        return float(sum(row.done for row in trial.rows))
    return trial.completed * trial.seconds


def cpu_per_request(trials: Sequence[Trial]) -> Seconds | None:
    """On-CPU seconds of the target's tree per answer, over all the trials together; None when CPU
    time was not read.
    """
    spans = [
        (t.resources.cpu_seconds, answered(t))
        for t in trials
        if t.resources and t.resources.cpu_seconds is not None
    ]
    seconds, answers = sum(s for s, _ in spans), sum(a for _, a in spans)
    return seconds / answers if answers > 0 and seconds > 0 else None


def read(trials: Sequence[Trial], criterion: str) -> BuildReading:
    """The readings of one process life, from its FIXED and CAPACITY trials. An endpoint that was
    not measured is absent.
    """
    logs: dict[str, float] = {}
    values: dict[str, float] = {}
    fixed = _fixed(trials)
    counts = [
        t.counts[criterion] for t in trials if t.step.phase is Phase.FIXED and criterion in t.counts
    ]
    if n := sum(c.n for c in counts):
        exceed = sum(c.exceed for c in counts)
        # Half a request more keeps the log finite; the same on both sides, so it cancels between
        # identical builds.
        logs[KNEE.name], values[KNEE.name] = math.log((exceed + 0.5) / (n + 1.0)), exceed / n
    if fixed:
        medians = [t.response.p50 for t in fixed if t.response.p50]
        logs[MEDIAN.name] = math.fsum(map(math.log, medians)) / len(medians)
        values[MEDIAN.name] = math.exp(logs[MEDIAN.name])
    saturated = [t for t in trials if t.step.phase is Phase.CAPACITY and t.completed > 0]
    notes: dict[str, str] = {}
    if saturated:
        values[CAPACITY.name] = math.fsum(t.completed for t in saturated) / len(saturated)
        logs[CAPACITY.name] = math.log(values[CAPACITY.name])
        if all(t.completed >= _UNSATURATED * t.step.rate for t in saturated):
            notes[CAPACITY.name] = (
                f"it answered all of {saturated[0].step.rate:.4g}/s: its capacity is at least that"
            )
    if cost := cpu_per_request(trials):
        logs[CPU.name], values[CPU.name] = math.log(cost), cost
    return BuildReading(
        logs, values, failures([t for t in trials if t.step.phase is Phase.FIXED]), notes
    )


def speed(name: str, change: float, slopes: Slopes) -> float:
    """The equivalent log change of speed (better is positive) of a log change in an endpoint's
    reading.

    For the knee it is the move of the knee along the rate axis at the frozen limit: ln(share ratio)
    / sharpness.
    """
    if name == KNEE.name:
        return -change / slopes.sharpness
    if name == MEDIAN.name:
        return change / slopes.median_of_speed
    return change if ENDPOINTS[name].higher else -change


def speeds(before: BuildReading, after: BuildReading, slopes: Slopes) -> dict[str, float]:
    """Equivalent log speed change per endpoint that both readings hold."""
    return {
        name: speed(name, after.logs[name] - log, slopes)
        for name, log in before.logs.items()
        if name in after.logs
    }


_BROKEN = (
    "status",
    "connect",
    "reset",
    "protocol",
    "tls",
)  # not slow: wrong. Lateness is judged by the endpoints


def failures(trials: Sequence[Trial]) -> Share:
    """The share of requests that were answered wrongly or not at all, for other reasons than being
    late.
    """
    total = sum(sum(t.outcomes.values()) for t in trials)
    return (
        sum(t.outcomes.get(kind, 0) for t in trials for kind in _BROKEN) / total if total else 0.0
    )


def median_slope(trials: Sequence[Trial], near: PerSecond, within: Share = 0.35) -> float | None:
    """d ln(median response) / d ln(rate) by least squares over trials near a rate; None when they
    span too little.
    """
    points = [
        (math.log(t.step.rate), math.log(t.response.p50))
        for t in trials
        if t.response.p50
        and not t.overload
        and not t.invalid
        and abs(t.step.rate / near - 1.0) <= within
    ]
    if len(points) < 3:
        return None
    x0, y0 = (math.fsum(axis) / len(points) for axis in zip(*points, strict=True))
    spread = math.fsum((x - x0) ** 2 for x, _ in points)
    if spread < 1e-4 * len(points):
        return None
    return max(0.0, math.fsum((x - x0) * (y - y0) for x, y in points) / spread)
