"""What removing a suspect would bring, by the utilisation law: bounds with the next cap, never
promises.

U = X D (Denning & Buzen 1978): no resource does more than all of its time, so X <= m_k / D_k for
each resource k with m_k units and a demand of D_k seconds per request. Taking a function's part out
of every D_k moves the smallest of these bounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.analysis.blame.reading import EvidenceReading, on_cpu
from perfhunt.analysis.diagnosis.costs import Cost
from perfhunt.analysis.diagnosis.known.runtimes import traits_of
from perfhunt.analysis.diagnosis.limiting import per_process
from perfhunt.analysis.diagnosis.suspects import Suspects
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.model.finding import Bottleneck, BottleneckClass, Finding, WhatIf
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Knee
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Cores, PerSecond, Seconds, Share

REMOVED: Share = 1.0  # how much of a suspect is supposed gone
_CONFIDENT = 3  # findings worth a prediction: nobody starts further down the list
# Times the rate: a bound further away says only that something else will stop it first.
_FURTHEST = 10.0


@dataclass(frozen=True, slots=True)
class StationThresholds:
    """From when something counts as a resource of its own. Chosen on real services."""

    # Of what the busiest process uses: one that uses more serves requests too.
    busy_process: Share = 0.25
    # What one GIL allows, with a margin for the error of the measurement. A process may use more
    # where C code lets the GIL go; then the GIL is not what bounds it.
    one_gil: Cores = 1.05
    # Mean threads from which a group of them is a pool, and the part of them that must be busy.
    pool: float = 1.0
    pool_busy: Share = 0.5
    # Mean number of waiters, below which a lock is no queue worth a bound.
    lock_waiters: float = 0.1


THRESHOLDS = StationThresholds()
# Where the law's one saturated resource is not inside the service, or is not known.
_OUTSIDE_THE_LAW = frozenset(
    {
        BottleneckClass.UNDETERMINED,
        BottleneckClass.LIMITER,
        BottleneckClass.GENERATOR,
        BottleneckClass.HOST,
        BottleneckClass.DOWNSTREAM,
        BottleneckClass.MEMORY,
        BottleneckClass.NETWORK,
    }
)


@dataclass(frozen=True, slots=True)
class Station:
    """A resource: how many units it has, and how long a request needs one. `uses` is each
    function's part of that.
    """

    name: str
    units: float
    demand: Seconds
    uses: Mapping[FunctionKey, Seconds]

    @property
    def bound(self) -> PerSecond:
        """The most requests per second it lets through."""
        return self.units / self.demand if self.demand > 0 else float("inf")

    def without(self, key: FunctionKey, factor: float = 1.0) -> PerSecond:
        """The bound when REMOVED of a function's use (times `factor`, for its interval) is gone."""
        left = self.demand - min(self.demand, REMOVED * factor * self.uses.get(key, 0.0))
        return self.units / left if left > 0 else float("inf")


def with_what_if(
    findings: Sequence[Finding],
    bottleneck: Bottleneck,
    reading: EvidenceReading,
    suspects: Suspects,
    climb: SearchResult,
) -> tuple[Finding, ...]:
    """The findings, the first few with a prediction attached; unchanged when no resource's demand
    is known.
    """
    resources, rate = stations(reading, suspects), _rate(reading, climb)
    if not resources or not rate:
        return tuple(findings)
    return tuple(
        replace(f, what_if=predict(f, bottleneck, resources, rate)) if f.rank <= _CONFIDENT else f
        for f in findings
    )


def _rate(reading: EvidenceReading, climb: SearchResult) -> PerSecond:
    """The rate that a prediction scales: the knee, else the capacity, else what was completed."""
    if isinstance(climb.knee, Knee):
        return climb.knee.rate
    return climb.capacity.rate if climb.capacity is not None else reading.knee.span.completed


def predict(
    finding: Finding, bottleneck: Bottleneck, resources: Sequence[Station], rate: PerSecond
) -> WhatIf:
    """knee' = knee X'/X, with X the smallest bound now and X' the smallest without the finding."""
    key = (finding.function, finding.file)
    now = min(station.bound for station in resources)
    doubt = _relative_doubt(finding.own)
    point, low, high = (
        min(_FURTHEST * rate, rate * min(s.without(key, f) for s in resources) / now)
        for f in (1.0, max(0.0, 1.0 - doubt), 1.0 + doubt)
    )
    after = min(resources, key=lambda s: s.without(key))
    return WhatIf(
        rate=max(rate, point),
        low=max(rate, low),
        high=max(rate, high),
        removed=REMOVED,
        cap=f"then {after.name} would be the limit",
        caveat=_caveat(finding, bottleneck, resources),
    )


def _relative_doubt(own: Interval) -> Share:
    return min(1.0, own.half_width) if own.value > 0 else 1.0


def _caveat(finding: Finding, bottleneck: Bottleneck, resources: Sequence[Station]) -> str:
    limit = min(resources, key=lambda s: s.bound)
    if not limit.uses.get((finding.function, finding.file), 0.0) > 0:
        return (
            f"It uses little of what limits the service now ({limit.name}):"
            " removing it alone is not expected to move the knee."
        )
    if finding.category in (BottleneckClass.LOCK, BottleneckClass.POOL):
        return (
            "Others wait for what it holds, and that wait goes with it: take the prediction as"
            " a lower bound."
        )
    if bottleneck.category in _OUTSIDE_THE_LAW:
        return (
            "The law assumes one saturated resource inside the service;"
            f" the class here is {bottleneck.category}."
        )
    return (
        "Holds if the cost per request stays as it is under more load, and the change leaves calls"
        " and payload alone."
    )


def stations(reading: EvidenceReading, suspects: Suspects) -> tuple[Station, ...]:
    """The resources whose demand is known: cores, one GIL per process, threads of the busiest pool,
    each held lock or pool.
    """
    if not reading.knee.span.completed:
        return ()
    costs = suspects.at_knee
    return (
        *_cpu_stations(reading, costs),
        *_pool_station(reading, costs),
        *_lock_stations(reading, costs),
    )


def _cpu_stations(reading: EvidenceReading, costs: Mapping[FunctionKey, Cost]) -> list[Station]:
    demand, cores = reading.knee.cpu_per_request, reading.evidence.cores
    if not demand:
        return []
    uses = {key: cost.cpu for key, cost in costs.items()}
    resources = [Station(f"the CPU ({cores:g} cores)", cores, demand, uses)] if cores else []
    processes = _processes_bound_by_gil(reading)
    if processes and processes < (cores or float("inf")):
        name = (
            "one core per process (the GIL)"
            if processes > 1
            else "one core (the GIL of its only busy process)"
        )
        resources.append(Station(name, float(processes), demand, uses))
    return resources


def _processes_bound_by_gil(reading: EvidenceReading) -> int:
    """How many busy processes there are of which none uses more than one GIL allows; 0 when one
    does, or there is no GIL.
    """
    if not traits_of(reading.evidence.runtime, reading.evidence.version).gil:
        return 0
    used = per_process(reading, ThreadState.ON_CPU).values()
    busiest = max(used)
    processes = max(1, sum(share > THRESHOLDS.busy_process * busiest for share in used))
    total = on_cpu(reading.knee.span) or 0.0
    bound = busiest <= THRESHOLDS.one_gil and total <= THRESHOLDS.one_gil * processes
    return processes if bound else 0


def _pool_station(reading: EvidenceReading, costs: Mapping[FunctionKey, Cost]) -> list[Station]:
    pools = [
        pool
        for pool in reading.knee.pools.values()
        if pool.threads >= THRESHOLDS.pool and pool.busy / pool.threads >= THRESHOLDS.pool_busy
    ]
    if not pools:
        return []
    threads, busy = max(pools, key=lambda pool: pool.busy)
    demand = busy / reading.knee.span.completed
    uses = {key: cost.blamed - cost.unseen for key, cost in costs.items()}
    return [Station(f"the {threads:.0f} worker threads", threads, demand, uses)]


def _lock_stations(reading: EvidenceReading, costs: Mapping[FunctionKey, Cost]) -> list[Station]:
    resources = []
    for contention in reading.knee.account.graph.contentions:
        uses = {key: costs[key].own for key in sorted(contention.holders) if key in costs}
        if not uses or contention.waiting <= THRESHOLDS.lock_waiters:
            continue
        units = max(1.0, round(contention.concurrent))
        what = "lock" if units == 1 else f"pool of {units:.0f}"
        name = f"the {what} that {contention.waiter[0]} waits for"
        resources.append(Station(name, units, sum(uses.values()), uses))
    return resources
