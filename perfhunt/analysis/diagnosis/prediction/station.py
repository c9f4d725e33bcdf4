"""A resource as a station: how many units it has, how long a request occupies one, and which
function does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf, sqrt
from typing import NamedTuple

from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.analysis.diagnosis.costs import STUDENT_T
from perfhunt.analysis.diagnosis.prediction.cpu_cost import CpuCost
from perfhunt.model.interval import Interval
from perfhunt.model.units import Cores, Seconds, Share


class StationKind(Enum):
    """What is occupied: it decides what else may hold a request up there."""

    CPU = auto()
    LOOP = auto()
    THREADS = auto()
    LOCK = auto()


class Estimated(NamedTuple):
    """A value and its standard error."""

    value: float
    error: float = 0.0


NOTHING = Estimated(0.0)


def total(parts: Iterable[Estimated]) -> Estimated:
    """The sum of independent parts."""
    each = list(parts)
    return Estimated(sum(p.value for p in each), sqrt(sum(p.error**2 for p in each)))


@dataclass(frozen=True, slots=True)
class Station:
    """A resource with `units` servers. A request occupies one for `cpu` on a core (times `slowed`,
    for a core is waited for there) and for `waits` off it; `cpu_shares` and `wait_uses` are each
    function's part of the two. `fixed` units are taken at any rate, and `others` by other work,
    which may give way or not. `held_up` of the waits are for a CPU or the GIL.
    """

    name: str
    kind: StationKind
    units: float
    cpu: Interval | None = None  # of a request, as the service is loaded now
    cpu_saturated: Interval | None = None  # the same, where its core is full
    cpu_shares: Mapping[FunctionKey, Estimated] = field(default_factory=dict)
    waits: Estimated = NOTHING
    wait_uses: Mapping[FunctionKey, Estimated] = field(default_factory=dict)
    fixed: Cores = 0.0
    others: Cores = 0.0
    held_up: Seconds = 0.0

    @property
    def demand(self) -> Interval:
        """Seconds that a request occupies it for, at the knee."""
        return _sum(self.cpu, NOTHING, self.waits, NOTHING)

    @property
    def bound(self) -> Interval:
        """The most requests per second that it lets through (utilisation law, X <= m / D: Denning
        and Buzen 1978).
        """
        return self._lets_through(self.demand)

    def without(self, gone: Collection[FunctionKey]) -> Interval:
        """The same when these functions take none of it any more, and it is full."""
        return self._lets_through(self.left(gone))

    def left(self, gone: Collection[FunctionKey]) -> Interval:
        """Seconds that a request occupies it for without these functions, when it is full."""
        return _sum(
            self.cpu_saturated,
            total(self.cpu_shares[key] for key in gone if key in self.cpu_shares),
            self.waits,
            total(self.wait_uses[key] for key in gone if key in self.wait_uses),
        )

    def _lets_through(self, demand: Interval) -> Interval:
        free = max(0.0, self.units - self.fixed)
        value, low, high = (
            units / d if d > 0 else inf
            for units, d in (
                (free, demand.value),
                (max(0.0, free - self.others), demand.high),
                (free, demand.low),
            )
        )
        return Interval(value, low, high, demand.n, demand.confidence)


def cpu_parts(cost: CpuCost, share: Share = 1.0, slowed: float = 1.0) -> tuple[Interval, Interval]:
    """The part of a request's CPU that a station has, now and saturated; `slowed` by waiting for a
    core.
    """
    return cost.now.scaled(share * slowed), cost.saturated.scaled(share * slowed)


def _sum(
    cpu: Interval | None, cpu_gone: Estimated, waits: Estimated, waits_gone: Estimated
) -> Interval:
    """CPU without a share of it, and waits without a part of them; as 95 % intervals."""
    kept = max(0.0, 1.0 - cpu_gone.value)
    running = cpu if cpu is not None else Interval(0.0, 0.0, 0.0, 0)
    waiting = max(0.0, waits.value - waits_gone.value)
    doubt = STUDENT_T * running.value * cpu_gone.error
    # What is left of the waits is as uncertain as they are, by its part of them.
    rest = waiting / waits.value if waits.value > 0 else 0.0
    queued = STUDENT_T * sqrt(rest) * waits.error
    value = kept * running.value + waiting
    below = sqrt((kept * (running.value - running.low)) ** 2 + doubt**2 + queued**2)
    above = sqrt((kept * (running.high - running.value)) ** 2 + doubt**2 + queued**2)
    return Interval(value, max(0.0, value - below), value + above, running.n)
