"""Rounds: one life of each build, side by side, sent the same slices of load in an order that
cancels drift.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perfhunt.analysis.verdict.endpoints import BuildReading, Slopes, speeds
from perfhunt.model.trial import Phase, Step
from perfhunt.model.units import PerSecond, Seconds

BASE, HEAD = "base", "head"


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


def paired(
    number: int,
    base: BuildReading,
    head: BuildReading,
    slopes: Slopes,
    seconds: Seconds,
    invalid: str = "",
) -> Round:
    """A round from its two readings."""
    return Round(number, base, head, speeds(base, head, slopes), seconds, invalid)


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
    seconds: Seconds = 6.0
    burst: Seconds = 8.0
    settle: Seconds = 1.0
    warmup: Seconds = 2.0
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
    steps = [
        Step(
            Phase.WARMUP,
            plan.rates[0] / 2,
            plan.warmup,
            _seed(plan, number, 0),
            arrivals=plan.arrivals,
        )
    ]
    for i, rate in enumerate(plan.rates, start=1):
        steps.append(
            Step(
                Phase.FIXED,
                rate,
                plan.seconds,
                _seed(plan, number, i),
                plan.settle,
                True,
                plan.arrivals,
            )
        )
    last = len(steps)
    burst = Step(
        Phase.CAPACITY,
        plan.saturating,
        plan.burst,
        _seed(plan, number, last),
        plan.settle,
        False,
        plan.arrivals,
    )
    planned: list[Slice] = []
    for i, step in enumerate([*steps, burst]):
        planned += [Slice(version, step) for version in (order if i % 2 == 0 else order[::-1])]
    return tuple(planned)


def _seed(plan: SlicePlan, number: int, index: int) -> int:
    return plan.seed * 1_000_003 + number * 101 + index


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
    before, after = (
        [side.values[name] for side in sides if name in side.values]
        for sides in _sides(usable(rounds))
    )
    return _middle(before), _middle(after)


def _sides(rounds: Sequence[Round]) -> tuple[list[BuildReading], list[BuildReading]]:
    return [r.base for r in rounds], [r.head for r in rounds]


def _middle(values: Sequence[float]) -> float | None:
    if not values:
        return None
    if min(values) <= 0.0:
        return math.fsum(values) / len(values)
    return math.exp(math.fsum(map(math.log, values)) / len(values))
