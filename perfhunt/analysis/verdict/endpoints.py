"""What is compared between two builds, and how each reading becomes "as if everything ran x %
faster".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, geometric_mean, linear_regression, pvariance

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


# Of a service under load.
KNEE = Endpoint(
    name="knee",
    title="requests over the limit, near the knee",
    unit="share",
    weight=0.10,
    higher=False,
    bounds=False,
)
MEDIAN = Endpoint(
    name="median",
    title="median response at fixed rates",
    unit="s",
    weight=0.20,
    higher=False,
    bounds=True,
)
CAPACITY = Endpoint(
    name="capacity", title="saturated capacity", unit="/s", weight=0.20, higher=True, bounds=True
)
CPU = Endpoint(
    name="cpu", title="CPU per request", unit="s", weight=0.50, higher=False, bounds=False
)

# Of a command.
WALL = Endpoint(name="wall", title="wall clock", unit="s", weight=0.45, higher=False, bounds=True)
COMMAND_CPU = Endpoint(
    name="command_cpu", title="CPU time", unit="s", weight=0.45, higher=False, bounds=True
)
PEAK_RSS = Endpoint(
    name="peak_rss", title="peak memory", unit="B", weight=0.10, higher=False, bounds=False
)

ENDPOINTS = {e.name: e for e in (KNEE, MEDIAN, CAPACITY, CPU, WALL, COMMAND_CPU, PEAK_RSS)}

UNSATURATED: Share = 0.97  # of what was offered: a build that answers this much was not saturated
# Trials whose median tells its slope lie this near the rate, are so many, and their log rates have
# at least this variance: two rates that hardly differ make no slope.
SLOPE_REACH: Share = 0.35
SLOPE_TRIALS, SLOPE_VARIANCE = 3, 1e-4
# Outcomes that are wrong, and not slow: lateness is judged by the endpoints.
BROKEN = ("status", "connect", "reset", "protocol", "tls", "not_cleared")


def weights_of(names: Sequence[str]) -> dict[str, float]:
    """The error-rate weights of these endpoints, summing to 1."""
    total = sum(ENDPOINTS[name].weight for name in names)
    return {name: ENDPOINTS[name].weight / total for name in names}


@dataclass(frozen=True, slots=True)
class Elasticities:
    """By how many percent the baseline's readings move near the knee when the rate moves by one,
    taken once from the baseline and frozen.

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


def answered(trial: Trial) -> float:
    """Answers over the whole trial, settle included: what its CPU time was spent on."""
    if trial.rows:
        return float(sum(row.done for row in trial.rows))
    return trial.completed * trial.seconds


def cpu_per_request(trials: Sequence[Trial]) -> Seconds | None:
    """On-CPU seconds of the target's tree per answer, over all the trials together; None when CPU
    time was not read.
    """
    readings = [
        (t.resources.cpu_seconds, answered(t))
        for t in trials
        if t.resources and t.resources.cpu_seconds is not None
    ]
    seconds, answers = sum(s for s, _ in readings), sum(n for _, n in readings)
    return seconds / answers if answers > 0 and seconds > 0 else None


def read(trials: Sequence[Trial], criterion: str) -> BuildReading:
    """The readings of one process life, from its FIXED and CAPACITY trials. An endpoint that was
    not measured is absent.
    """
    # An overloaded trial stays in: leaving it out would compare one build's easy rates with the
    # other's hard ones.
    fixed = [t for t in trials if t.step.phase is Phase.FIXED]
    saturated = [t for t in trials if t.step.phase is Phase.CAPACITY and t.completed > 0]
    values = {
        MEDIAN.name: _middle([t.response.p50 for t in fixed if t.response.p50]),
        CAPACITY.name: fmean(t.completed for t in saturated) if saturated else None,
        CPU.name: cpu_per_request(trials),
    }
    measured = {name: value for name, value in values.items() if value is not None}
    logs = {name: math.log(value) for name, value in measured.items()}
    counts = [t.counts[criterion] for t in fixed if criterion in t.counts]
    if n := sum(count.n for count in counts):
        exceed = sum(count.exceed for count in counts)
        # Half a request more keeps the log finite; the same on both sides, so it cancels between
        # identical builds.
        logs = {KNEE.name: math.log((exceed + 0.5) / (n + 1.0))} | logs
        measured = {KNEE.name: exceed / n} | measured
    return BuildReading(logs, measured, failures(fixed), _at_least(saturated))


def _middle(medians: Sequence[Seconds]) -> Seconds | None:
    return geometric_mean(medians) if medians else None


def _at_least(saturated: Sequence[Trial]) -> dict[str, str]:
    """The note on a capacity that no burst reached."""
    if not saturated or any(t.completed < UNSATURATED * t.step.rate for t in saturated):
        return {}
    offered = saturated[0].step.rate
    return {CAPACITY.name: f"it answered all of {offered:.4g}/s: its capacity is at least that"}


def speed(name: str, change: float, elasticities: Elasticities) -> float:
    """The equivalent log change of speed (better is positive) of a log change in an endpoint's
    reading.

    For the knee it is the move of the knee along the rate axis at the frozen limit: ln(share ratio)
    / sharpness.
    """
    if name == KNEE.name:
        return -change / elasticities.sharpness
    if name == MEDIAN.name:
        return change / elasticities.median_of_speed
    return change if ENDPOINTS[name].higher else -change


def speeds(
    before: BuildReading, after: BuildReading, elasticities: Elasticities
) -> dict[str, float]:
    """Equivalent log speed change per endpoint that both readings hold."""
    return {
        name: speed(name, after.logs[name] - log, elasticities)
        for name, log in before.logs.items()
        if name in after.logs
    }


def failures(trials: Sequence[Trial]) -> Share:
    """The share of requests that were answered wrongly or not at all, for other reasons than being
    late.
    """
    total = sum(sum(t.outcomes.values()) for t in trials)
    broken = sum(t.outcomes.get(outcome, 0) for t in trials for outcome in BROKEN)
    return broken / total if total else 0.0


def median_slope(trials: Sequence[Trial], near: PerSecond) -> float | None:
    """d ln(median response) / d ln(rate) by least squares over trials near a rate; None when they
    span too little.
    """
    points = [
        (math.log(t.step.rate), math.log(t.response.p50))
        for t in trials
        if t.response.p50 and not (t.overload or t.invalid)
        if abs(t.step.rate / near - 1.0) <= SLOPE_REACH
    ]
    if len(points) < SLOPE_TRIALS:
        return None
    log_rates, log_medians = zip(*points, strict=True)
    if pvariance(log_rates) < SLOPE_VARIANCE:
        return None
    return max(0.0, linear_regression(log_rates, log_medians).slope)
