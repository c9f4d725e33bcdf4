"""Latencies: the raw record of one request, and the exact percentiles of many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from perfhunt.model.units import Seconds, Share

# What captures on a host without numpy (`profilers.remote`) needs the nouns alone.
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    SAMPLE: np.dtype[Any]

# The route of requests that no arrival is the cause of: those of greenlets that a task of a
# locustfile left behind, and those of a user's own.
UNCAUSED = "requests outside of tasks"
# The route of the requests that our own client sends beside another program's, to measure by.
PROBED = "perfhunt's own probe"


class RequestOutcome(IntEnum):
    """How one arrival ended. The order is part of the raw file format: append, never renumber."""

    OK = 0
    STATUS = 1  # answered with a status or body that was not expected
    TIMEOUT = 2  # no answer in time; counted at the timeout
    CONNECT = 3  # could not connect: refused, reset at once, unresolvable
    RESET = 4  # the connection ended before the answer was whole
    PROTOCOL = 5  # the answer was not HTTP
    TLS = 6
    TOO_LARGE = 7  # headers or body beyond the bound
    SHED = 8  # later than the deadline: never sent; its latency is "at least this"
    CUT = 9  # in flight when the trial was stopped; its latency is "at least this"
    GENERATOR = 10  # the generator had no fd or port left: not the service's doing
    NOT_CLEARED = 11  # would have gone where load was not cleared for: no connection was made


# One arrival in the raw file of a trial: the fields of `SAMPLE`. `due` is seconds from the trial's
# start; `lag` = actual send - due; `service` = done - actual send; response = lag + service. CUT
# and SHED hold the time known so far. `wait` is the part of `lag` spent waiting for a free
# connection or user because too much was in flight: the service's doing, not the generator's.
_FIELDS = [
    ("due", "<f8"),
    ("lag", "<f4"),
    ("service", "<f4"),
    ("bytes", "<u4"),
    ("status", "<u2"),
    ("endpoint", "<u2"),
    ("outcome", "u1"),
    ("wait", "<f4"),
]


def __getattr__(name: str) -> Any:
    """`SAMPLE`, made when it is first asked for."""
    if name != "SAMPLE":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import numpy as np

    return globals().setdefault(name, np.dtype(_FIELDS))


@dataclass(frozen=True, slots=True)
class RouteFailure:
    """Requests of a route that failed alike in a trial: `outcome` as in `RequestOutcome`, lower
    case, `status` 0 where none came. The first of them was due `first` after the step began, and
    ended `took` after it was sent.
    """

    outcome: str
    status: int
    count: int
    first: Seconds
    took: Seconds


@dataclass(frozen=True, slots=True)
class Latency:
    """A latency distribution in seconds: exact percentiles of n requests, by sorting; censored ones
    are at least that.
    """

    n: int
    p50: Seconds | None
    p90: Seconds | None
    p95: Seconds | None
    p99: Seconds | None
    mean: Seconds | None
    max: Seconds | None
    # of n, how many ended unknown (SHED, CUT, TIMEOUT): a percentile that reaches them is "> value"
    censored: int = 0

    def at(self, share: Share) -> Seconds | None:
        """p50, p90, p95 or p99 by its share; None when that percentile was not kept."""
        return {0.5: self.p50, 0.9: self.p90, 0.95: self.p95, 0.99: self.p99}.get(round(share, 6))


def summarise(values: NDArray[np.floating[Any]], censored: int = 0) -> Latency:
    """Exact percentiles (nearest rank) of latencies in seconds; shape (n,)."""
    import numpy as np

    ordered = np.sort(values)
    p50, p90, p95, p99 = percentiles(ordered, (0.5, 0.9, 0.95, 0.99))
    return Latency(
        n=len(values),
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
        mean=float(ordered.mean()) if len(values) else None,
        max=float(ordered[-1]) if len(values) else None,
        censored=censored,
    )


def nearest_rank(n: int, share: Share) -> int:
    """Index of the nearest-rank percentile in n sorted values (Hyndman & Fan 1996, definition
    1).
    """
    return min(n - 1, max(0, math.ceil(share * n - 1e-9) - 1))


def percentiles(
    values: Sequence[float] | NDArray[np.floating[Any]], shares: Sequence[Share]
) -> tuple[Seconds | None, ...]:
    """Nearest-rank percentiles at each share; None each when there are no values."""
    import numpy as np

    if not len(values):
        return tuple(None for _ in shares)
    ordered = np.sort(np.asarray(values))
    return tuple(float(ordered[nearest_rank(len(ordered), s)]) for s in shares)


@dataclass(frozen=True, slots=True)
class TaskTime:
    """Of `n` tasks of one name over a trial: the `seconds` they took, of which `asked` passed in
    their `requests`, all added up.
    """

    name: str
    n: int
    seconds: Seconds
    requests: int
    asked: Seconds

    @property
    def own(self) -> Share:
        """The part of the time that passed in none of the requests."""
        return max(0.0, 1.0 - self.asked / self.seconds) if self.seconds else 0.0

    def plus(self, other: TaskTime) -> TaskTime:
        """Both together."""
        return replace(
            self,
            n=self.n + other.n,
            seconds=self.seconds + other.seconds,
            requests=self.requests + other.requests,
            asked=self.asked + other.asked,
        )


def merged_tasks(parts: list[tuple[TaskTime, ...]]) -> tuple[TaskTime, ...]:
    """What several workers counted, by name, in the order in which the names came."""
    by_name: dict[str, TaskTime] = {}
    for each in (each for part in parts for each in part):
        known = by_name.get(each.name)
        by_name[each.name] = each if known is None else known.plus(each)
    return tuple(by_name.values())
