"""What a rule gives, and what all rules weigh with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from perfhunt.analysis.diagnosis.features import Features
from perfhunt.model.finding import BottleneckClass
from perfhunt.model.units import Share, format_share

# From where to where a feature is evidence, in the feature's own unit.
RampBounds: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """How well a class explains what was seen, 0..1, and why."""

    category: BottleneckClass
    value: float
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WaitThresholds:
    """How much a wait explains beside a full CPU, or an event loop that is held up."""

    # Share of the cores: near their limit, waiting is what a full CPU looks like.
    of_cores: RampBounds = (0.8, 0.95)
    # Share of its time that an event loop's thread is blocked: whatever for, the loop is blocked.
    loop_blocked: RampBounds = (0.05, 0.15)
    # How much of the score either takes away: not all of it, for both may have the same cause.
    taken: float = 0.7


WAITS = WaitThresholds()


def ramp(value: float, bounds: RampBounds) -> float:
    """0 at the lower bound and below, 1 at the upper one and above, straight in between."""
    low, high = bounds
    return min(1.0, max(0.0, (value - low) / (high - low)))


def outside_cpu(features: Features, value: float, full: Share | None = None) -> float:
    """A wait explains less the nearer the CPU is to its own limit (`full`: unless told otherwise
    the target's and its peers'): then waiting is what a full CPU looks like.

    Nor does it explain much where an event loop's own thread does the waiting: whatever for, the
    loop is blocked.
    """
    if features.pool_is_loop and features.loop is not None:
        value *= 1.0 - WAITS.taken * ramp(features.loop.blocked, WAITS.loop_blocked)
    of_cores = max(features.of_cores, features.filled) if full is None else full
    return value * (1.0 - WAITS.taken * ramp(of_cores, WAITS.of_cores))


def of_added(features: Features, share: Share) -> str:
    """`34 % of the latency that load added`; of latency as it stands, where no growth is known."""
    whole = "latency that load added" if features.compared else "latency that was seen"
    return f"{format_share(share)} of the {whole}"


def as_sentence(words: object) -> str:
    """The words with a capital in front."""
    text = str(words)
    return f"{text[:1].upper()}{text[1:]}"


def nothing(category: BottleneckClass) -> ClassScore:
    """The score of a class of which nothing was seen."""
    return ClassScore(category, 0.0)


def part(value: float, whole: float) -> Share:
    """A share of a whole that may be 0."""
    return value / whole if whole else 0.0
