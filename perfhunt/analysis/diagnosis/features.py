"""The numbers that the classes of bottleneck are judged by, gathered from all evidence there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from perfhunt.analysis.blame.frames import in_loop
from perfhunt.analysis.blame.holders import Holding
from perfhunt.analysis.blame.reading import EvidenceReading, SpanReading, on_cpu
from perfhunt.analysis.blame.snapshots import thread_group
from perfhunt.analysis.diagnosis.ranking import suspects_of
from perfhunt.analysis.diagnosis.ranking_costs import Cost, limiting_use, per_process
from perfhunt.model.finding import Finding
from perfhunt.model.states import ThreadState
from perfhunt.model.trial import Trial
from perfhunt.model.units import Cores, Seconds, Share

_BLOCKING = (
    ThreadState.SOCKET,
    ThreadState.SLEEP,
    ThreadState.DISK,
    ThreadState.LOCK,
    ThreadState.OTHER,
)
_SHED = (429, 503)


@dataclass(frozen=True, slots=True)
class Loop:
    """The busiest event-loop thread: how much of its time it computed, waited for a CPU, and slept
    outside its poll.
    """

    on_cpu: Share
    queued: Share
    blocked: Share
    state: str  # what it slept in mostly, "" when it did not


@dataclass(frozen=True, slots=True)
class Features:
    """What the rules look at. Times are seconds per request; `added` is latency added between
    baseline and knee, by kind.

    Kinds: cpu, gil, run_queue, lock, pool, handoff, socket, client, sleep, disk, other, and the
    same behind `unseen:` for requests that waited before a thread had them, by what the threads did
    or waited for meanwhile (`await`: an event loop idled).
    """

    cpu: Cores | None
    cores: Cores | None
    process_cpu: Cores
    processes: int
    threads: dict[str, float]
    added: dict[str, Seconds]
    standing: dict[str, Seconds]  # the same kinds, at the knee, as they stand
    unseen: float
    in_flight: float | None
    limiting: str
    pool_use: tuple[float, float] | None  # threads and busy threads of the pool that is taken most
    pool_is_loop: bool  # and whether those are event loops
    loop: Loop | None
    holdings: tuple[Holding, ...]
    endpoints: dict[str, float]
    trial: Trial | None
    base_trial: Trial | None
    throttled: Share
    host: Share | None
    psi: dict[str, Share] = field(default_factory=dict)
    oom_kills: int = 0
    connections: dict[str, int] = field(default_factory=dict)
    shed: Share = 0.0
    first: str = ""
    grew_waits: dict[str, float] = field(
        default_factory=dict
    )  # state -> own wait per request, knee over baseline
    compared: bool = False

    def share(self, *kinds: str) -> Share:
        """The share of the latency that load added which is of these kinds; of all time there is
        without a baseline.
        """
        parts = self.added if self.compared else self.standing
        whole = sum(v for v in parts.values() if v > 0)
        return sum(max(parts.get(kind, 0.0), 0.0) for kind in kinds) / whole if whole > 0 else 0.0


def signs(seen: EvidenceReading, findings: Sequence[Finding] = ()) -> Features:
    """The signs of one investigation."""
    span, suspects = seen.knee.span, suspects_of(seen)
    resources = span.resources
    at_knee = _kinds([s.knee for s in suspects.values()], seen.knee)
    at_base = _kinds([s.base for s in suspects.values() if s.base is not None], seen.baseline)
    compared = seen.baseline is not None and seen.baseline.has_instants and seen.knee.has_instants
    limiting, _ = limiting_use(seen)
    group = max(seen.knee.pools, key=lambda g: seen.knee.pools[g][1], default=())
    psi = (
        {"cpu": resources.psi_cpu, "io": resources.psi_io, "memory": resources.psi_memory}
        if resources
        else {}
    )
    return Features(
        cpu=on_cpu(span),
        cores=seen.evidence.cores,
        process_cpu=max(per_process(seen, ThreadState.ON_CPU).values()),
        processes=len({t.pid for t in span.states.threads}) if span.states else 1,
        threads=seen.knee.ledger.states()
        if seen.knee.has_instants
        else span.states.totals()
        if span.states
        else {},
        added={
            kind: at_knee.get(kind, 0.0) - at_base.get(kind, 0.0) for kind in {*at_knee, *at_base}
        },
        standing=at_knee,
        unseen=seen.knee.unseen,
        in_flight=seen.knee.in_flight,
        limiting=limiting,
        pool_use=seen.knee.pools.get(group),
        pool_is_loop=group in _loop_groups(seen),
        loop=_loop(seen),
        holdings=tuple(sorted(seen.knee.ledger.holdings.of.values(), key=lambda h: -h.waiting)),
        endpoints=_endpoints(seen.knee),
        trial=span.trial,
        base_trial=seen.baseline.span.trial if seen.baseline is not None else None,
        throttled=(resources.throttled or 0.0) if resources else 0.0,
        host=resources.host_cpu_share if resources else None,
        psi={name: share for name, share in psi.items() if share is not None},
        oom_kills=(resources.oom_kills or 0) if resources else 0,
        connections=dict(resources.connections) if resources else {},
        shed=_shed(span.trial),
        first=findings[0].function if findings else "",
        grew_waits=_grew_waits(at_knee, at_base),
        compared=compared,
    )


def _kinds(all_costs: Sequence[Cost | None], reading: SpanReading | None) -> dict[str, Seconds]:
    """Seconds per request by kind, over all functions."""
    found: dict[str, Seconds] = {}
    to_client = set() if reading is None else _to_client(reading)
    for cost in all_costs:
        if cost is None:
            continue
        parts: list[tuple[str, Seconds]] = [("cpu", cost.cpu)]
        for state, value in cost.waits.items():
            client = state == ThreadState.SOCKET and cost.key in to_client
            parts.append(("client" if client else state, value))
        for (cause, _), value in cost.queues.items():
            parts.append((cause, value))
        for kind, value in parts:
            found[kind] = found.get(kind, 0.0) + value
    return found


def _to_client(reading: SpanReading) -> set[tuple[str, str]]:
    return {
        key
        for key, waits in reading.ledger.wait_on.items()
        if sum(n for on, n in waits.items() if on.startswith("client:")) > 0.5 * sum(waits.values())
    }


def _endpoints(reading: SpanReading) -> dict[str, float]:
    """Mean threads waiting on each remote endpoint."""
    found: dict[str, float] = {}
    for v in (v for now in reading.views for v in now if v.state == ThreadState.SOCKET):
        found[v.sample.wait_on] = found.get(v.sample.wait_on, 0.0) + 1 / len(reading.views)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _grew_waits(knee: dict[str, Seconds], base: dict[str, Seconds]) -> dict[str, float]:
    states = (ThreadState.SOCKET, ThreadState.SLEEP, ThreadState.DISK, ThreadState.OTHER)
    return {s: knee[s] / base[s] if base.get(s) else float("inf") for s in states if knee.get(s)}


def _loop_groups(seen: EvidenceReading) -> set[tuple[tuple[str, str], ...]]:
    instants = seen.knee.span.instants
    threads = (t for i in instants for t in i.threads) if instants is not None else ()
    return {thread_group(t) for t in threads if in_loop(t.stack)}


def _loop(seen: EvidenceReading) -> Loop | None:
    """The event-loop thread that has least time left, by exact thread states; by the instants
    without those.
    """
    span = seen.knee.span
    instants = span.instants or seen.evidence.idle
    if instants is None:
        return None
    looks = Counter((t.pid, t.tid) for i in instants for t in i.threads)
    loops = Counter((t.pid, t.tid) for i in instants for t in i.threads if in_loop(t.stack))
    threads = {thread for thread, n in loops.items() if n > 0.5 * looks[thread]}
    found = []
    if span.states is not None and span.states.source == "syscall":
        found = [_loop_of(dict(t.states)) for t in span.states.threads if (t.pid, t.tid) in threads]
    elif span.instants is not None and len(span.instants):
        for pid, tid in threads:
            counts: dict[str, float] = {}
            for t in (t for i in span.instants for t in i.threads if (t.pid, t.tid) == (pid, tid)):
                counts[t.state] = counts.get(t.state, 0.0) + 1 / len(span.instants)
            found.append(_loop_of(counts))
    return max(found, key=lambda loop: loop.on_cpu + loop.queued + loop.blocked, default=None)


def _loop_of(states: dict[str, float]) -> Loop:
    blocked = {state: states.get(state, 0.0) for state in _BLOCKING}
    worst = max(blocked, key=lambda state: blocked[state])
    queued = states.get(ThreadState.RUN_QUEUE, 0.0) + states.get(ThreadState.GIL, 0.0)
    total = sum(blocked.values())
    return Loop(states.get(ThreadState.ON_CPU, 0.0), queued, total, str(worst) if total > 0 else "")


def _shed(trial: Trial | None) -> Share:
    """Share of answers that turned the request away: 429 or 503."""
    if trial is None or not trial.n:
        return 0.0
    away = sum(
        count
        for route in trial.routes.values()
        for status, count in route.statuses.items()
        if status in _SHED
    )
    return away / trial.n
