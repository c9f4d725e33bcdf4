"""Rounds: one life of each build, side by side, sent the same slices of load in an order that
cancels drift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, geometric_mean

from perfhunt.analysis.verdict.endpoints import BuildReading
from perfhunt.model.trial import Phase, Step
from perfhunt.model.units import PerSecond, Seconds

BASE, HEAD = "base", "head"
# Seconds of a slice at a fixed rate, of the burst, and of the warm-up.
SLICE, BURST, WARM_UP = 6.0, 8.0, 2.0


@dataclass(frozen=True, slots=True)
class Round:
    """What one life of each build read. `speed` is the log speed change per endpoint; `invalid`
    says why not to use it.
    """

    number: int
    base: BuildReading
    head: BuildReading
    speed: Mapping[str, float]
    seconds: Seconds
    invalid: str = ""


@dataclass(frozen=True, slots=True)
class Slice:
    """A step for one of the two builds."""

    version: str
    step: Step


@dataclass(frozen=True, slots=True)
class SlicePlan:
    """The load of one round: rates, seconds and seeds, all fixed in advance.

    Short rounds win: the noise between restarts and the small-sample price of Student's t both fall
    with the number of rounds, while the load they cost is the same. `settle` is sent and not
    counted.
    """

    knee: PerSecond
    saturating: PerSecond
    seed: int
    relative: tuple[float, ...] = (0.95,)
    seconds: Seconds = SLICE
    burst: Seconds = BURST
    settle: Seconds = 1.0
    warmup: Seconds = WARM_UP
    arrivals: str = "poisson"
    hold_rates: tuple[PerSecond, ...] = field(default=())  # instead of `relative`, when given

    @property
    def rates(self) -> tuple[PerSecond, ...]:
        """The fixed rates, in requests/s."""
        return self.hold_rates or tuple(self.knee * r for r in self.relative)

    @property
    def load(self) -> Seconds:
        """Seconds of load in one round, both builds."""
        return 2.0 * (self.warmup + len(self.rates) * self.seconds + self.burst)


def first_of(number: int, seed: int) -> str:
    """Which build goes first in round `number` (from 0): ABBA over each two rounds, the start drawn
    from the seed.
    """
    flip = (number % 2) ^ (seed & 1)
    return HEAD if flip else BASE


def slices(plan: SlicePlan, number: int) -> tuple[Slice, ...]:
    """The slices of round `number` in order: warm-up each, then each rate, then the burst, mirrored
    from one to the next.

    Both builds get the same seed for the same slice, so the same arrivals and the same requests.
    """
    first = first_of(number, plan.seed)
    order = (first, BASE if first == HEAD else HEAD)
    return tuple(
        Slice(version, step)
        for i, step in enumerate(_steps(plan, number))
        for version in (order if i % 2 == 0 else order[::-1])
    )


def _steps(plan: SlicePlan, number: int) -> list[Step]:
    loads = [
        (Phase.WARMUP, plan.rates[0] / 2, plan.warmup),
        *((Phase.FIXED, rate, plan.seconds) for rate in plan.rates),
        (Phase.CAPACITY, plan.saturating, plan.burst),
    ]
    return [
        Step(
            phase=phase,
            rate=rate,
            duration=seconds,
            seed=plan.seed * 1_000_003 + number * 101 + i,
            settle=0.0 if phase is Phase.WARMUP else plan.settle,
            stop_on_overload=phase is not Phase.CAPACITY,
            arrivals=plan.arrivals,
        )
        for i, (phase, rate, seconds) in enumerate(loads)
    ]


def usable(rounds: Sequence[Round]) -> tuple[Round, ...]:
    """The rounds that count."""
    return tuple(r for r in rounds if not r.invalid)


def differences(rounds: Sequence[Round]) -> dict[str, list[float]]:
    """Log speed changes per endpoint, of the endpoints that every usable round holds."""
    counted = usable(rounds)
    if not counted:
        return {}
    names = set(counted[0].speed).intersection(*(r.speed for r in counted[1:]))
    return {name: [r.speed[name] for r in counted] for name in counted[0].speed if name in names}


def typical(rounds: Sequence[Round], name: str) -> tuple[float | None, float | None]:
    """Geometric mean of an endpoint's readings before and after, in its own unit; arithmetic where
    one is zero.
    """
    counted = usable(rounds)
    before = [r.base.values[name] for r in counted if name in r.base.values]
    after = [r.head.values[name] for r in counted if name in r.head.values]
    return _middle(before), _middle(after)


def _middle(values: Sequence[float]) -> float | None:
    if not values:
        return None
    return fmean(values) if min(values) <= 0.0 else geometric_mean(values)
