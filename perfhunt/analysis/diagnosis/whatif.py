"""What removing a suspect would bring, by the utilisation law: bounds with the next cap, never
promises.

U = X D (Denning & Buzen 1978): no resource does more than all of its time, so X <= m_k / D_k for
each resource k with m_k units and a demand of D_k seconds per request. Taking a function's part out
of every D_k moves the smallest of these bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.blame.frames import Key
from perfhunt.analysis.blame.reading import EvidenceReading, on_cpu, read_evidence
from perfhunt.analysis.diagnosis.ranking_costs import Cost, charge_unseen, costs, per_process
from perfhunt.analysis.knee.goal import Climb
from perfhunt.model.finding import Bottleneck, BottleneckClass, Finding, TimeClass, WhatIf
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Knee
from perfhunt.model.states import ThreadState
from perfhunt.model.units import PerSecond, Seconds, Share

REMOVED: Share = 1.0
_CONFIDENT = 3  # findings worth a prediction
# a bound further away than this times the rate says only that something else will stop it first
_MOST = 10.0


@dataclass(frozen=True, slots=True)
class Station:
    """A resource: how many units it has, and how long a request needs one. `uses` is each
    function's part of that.
    """

    name: str
    units: float
    demand: Seconds
    uses: dict[Key, Seconds]

    @property
    def bound(self) -> PerSecond:
        """The most requests per second it lets through."""
        return self.units / self.demand if self.demand > 0 else float("inf")

    def without(self, key: Key, share: Share, factor: float = 1.0) -> PerSecond:
        """The bound when `share` of a function's use (times `factor`, for its interval) is gone."""
        left = self.demand - min(self.demand, share * factor * self.uses.get(key, 0.0))
        return self.units / left if left > 0 else float("inf")


def with_what_if(
    findings: Sequence[Finding], bottleneck: Bottleneck, evidence: Evidence, climb: Climb
) -> tuple[Finding, ...]:
    """The findings, the first few with a prediction attached; unchanged when no resource's demand
    is known.
    """
    seen = read_evidence(evidence)
    found = stations(seen)
    rate = _rate(evidence, climb)
    if not found or not rate:
        return tuple(findings)
    return tuple(
        replace(f, what_if=predict(f, bottleneck, found, rate)) if f.rank <= _CONFIDENT else f
        for f in findings
    )


def _rate(evidence: Evidence, climb: Climb) -> PerSecond:
    if isinstance(climb.knee, Knee):
        return climb.knee.rate
    return climb.capacity.rate if climb.capacity is not None else evidence.knee.completed


def predict(
    finding: Finding, bottleneck: Bottleneck, found: Sequence[Station], rate: PerSecond
) -> WhatIf | None:
    """knee' = knee X'/X, with X the smallest bound now and X' the smallest without the finding."""
    key = (finding.function, finding.file)
    now = min(station.bound for station in found)
    relative = _relative(finding.own)
    point, low, high = (
        min(_MOST * rate, rate * min(s.without(key, REMOVED, f) for s in found) / now)
        for f in (1.0, max(0.0, 1.0 - relative), 1.0 + relative)
    )
    after = min(found, key=lambda s: s.without(key, REMOVED))
    cap = f"then {after.name} would be the limit"
    return WhatIf(
        max(rate, point),
        max(rate, low),
        max(rate, high),
        REMOVED,
        cap,
        _caveat(finding, bottleneck, found, key),
    )


def _relative(own: Interval) -> Share:
    return min(1.0, own.half_width) if own.value > 0 else 1.0


def _caveat(finding: Finding, bottleneck: Bottleneck, found: Sequence[Station], key: Key) -> str:
    limit = min(found, key=lambda s: s.bound)
    if not limit.uses.get(key, 0.0) > 0:
        return (
            f"It uses little of what limits the service now ({limit.name}): removing it alone is"
            " not expected to move the knee."
        )
    if finding.category == TimeClass.LOCK:
        return (
            "Others wait while it holds a lock, and that wait goes with it: take the prediction as"
            " a lower bound."
        )
    if bottleneck.category in (
        BottleneckClass.UNDETERMINED,
        BottleneckClass.LIMITER,
        BottleneckClass.GENERATOR,
        BottleneckClass.DOWNSTREAM,
        BottleneckClass.MEMORY,
        BottleneckClass.NETWORK,
    ):
        return (
            "The law assumes one saturated resource inside the service; the class here is"
            f" {bottleneck.category}."
        )
    return (
        "Holds if the cost per request stays as it is under more load, and the change leaves calls"
        " and payload alone."
    )


def stations(seen: EvidenceReading) -> tuple[Station, ...]:
    """The resources whose demand is known: cores, one GIL per process, threads of the busiest pool,
    each held lock or pool.
    """
    reading = seen.knee
    rate = reading.span.completed
    if not rate:
        return ()
    at_knee = costs(reading)
    charge_unseen(at_knee, seen)
    return (
        *_cpu_stations(seen, at_knee),
        *_pool_station(seen, at_knee),
        *_lock_stations(seen, at_knee),
    )


def _cpu_stations(seen: EvidenceReading, at_knee: dict[Key, Cost]) -> list[Station]:
    cpu, cores = seen.knee.cpu, seen.evidence.cores
    if cpu is None or not cpu:
        return []
    uses = {key: cost.cpu for key, cost in at_knee.items()}
    found = [Station(f"the CPU ({cores:g} cores)", cores, cpu, uses)] if cores else []
    if seen.evidence.runtime == "cpython":
        used = per_process(seen, ThreadState.ON_CPU)
        processes = max(1, sum(1 for share in used.values() if share > 0.25 * max(used.values())))
        total = on_cpu(seen.knee.span) or 0.0
        # A process may use more than one core where C code lets the GIL go; then the GIL is not
        # what bounds it.
        if (
            max(used.values()) <= 1.05
            and total <= 1.05 * processes
            and processes < (cores or float("inf"))
        ):
            name = (
                "one core per process (the GIL)"
                if processes > 1
                else "one core (the GIL of its only busy process)"
            )
            found.append(Station(name, float(processes), cpu, uses))
    return found


def _pool_station(seen: EvidenceReading, at_knee: dict[Key, Cost]) -> list[Station]:
    pools = [
        (threads, busy)
        for threads, busy in seen.knee.pools.values()
        if threads >= 1 and busy / threads >= 0.5
    ]
    if not pools:
        return []
    threads, busy = max(pools, key=lambda pool: pool[1])
    uses = {key: cost.blamed - cost.unseen for key, cost in at_knee.items()}
    return [
        Station(f"the {threads:.0f} worker threads", threads, busy / seen.knee.span.completed, uses)
    ]


def _lock_stations(seen: EvidenceReading, at_knee: dict[Key, Cost]) -> list[Station]:
    found = []
    for holding in seen.knee.ledger.holdings.of.values():
        uses = {key: at_knee[key].own for key in holding.holders if key in at_knee}
        units = max(1.0, round(holding.concurrent))
        if uses and holding.waiting > 0.1:
            what = "lock" if units == 1 else f"pool of {units:.0f}"
            found.append(
                Station(
                    f"the {what} that {holding.waiter[0]} waits for",
                    units,
                    sum(uses.values()),
                    uses,
                )
            )
    return found
