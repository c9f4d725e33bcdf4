"""The numbers that the classes of bottleneck are judged by, gathered from all evidence there is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.blame.frames import FunctionKey, in_event_loop
from perfhunt.analysis.blame.idle import CLIENT_SOCKET
from perfhunt.analysis.blame.reading import EvidenceReading, PoolUse, SpanReading, on_cpu
from perfhunt.analysis.blame.snapshots import ThreadGroup, thread_group
from perfhunt.analysis.blame.wait_for import Contention
from perfhunt.analysis.diagnosis.costs import Cost, certainty_of_growth, unseen
from perfhunt.analysis.diagnosis.known.runtimes import RuntimeTraits, collecting, traits_of
from perfhunt.analysis.diagnosis.known.states_alone import (
    HIDDEN,
    helpers_of,
    name_of_helpers,
    told_by_states,
)
from perfhunt.analysis.diagnosis.limiting import LimitingResource, main_threads, one_core_use
from perfhunt.analysis.diagnosis.peers import PeerLoad, peer_loads
from perfhunt.analysis.diagnosis.suspects import Suspects
from perfhunt.analysis.knee.answers.failures import Failures, failures_of
from perfhunt.analysis.trial.wire import WireReading, about, ack_wait, is_certain, wire_reading
from perfhunt.model.profile import Instants, LongPoll
from perfhunt.model.states import ThreadState
from perfhunt.model.trial import Interference, Resources, Trial
from perfhunt.model.units import Cores, Seconds, Share

# States in which an event loop's thread keeps every connection waiting: off the CPU, and not in the
# loop's own poll.
BLOCKING = (
    ThreadState.SOCKET,
    ThreadState.SLEEP,
    ThreadState.DISK,
    ThreadState.LOCK,
    ThreadState.OTHER,
)
# States of a thread that works, or would if it had a core and the GIL.
_AT_WORK = (ThreadState.ON_CPU, ThreadState.RUN_QUEUE, ThreadState.GIL, *BLOCKING)
# Own waits whose growth per request tells something.
_GROWING = (ThreadState.SOCKET, ThreadState.SLEEP, ThreadState.DISK, ThreadState.OTHER)
# Of a function's waits, the part beyond which it waits for clients; of a thread's instants, the
# part beyond which it is the event loop's: the majority.
_MOSTLY: Share = 0.5
# The calls that wait for any of several descriptors, as the C library names them; `poll` and
# `select` wait for one as well.
_MULTIPLEX = re.compile(r"^_*(?:epoll_p?wait2?|io_uring_enter)$")


class LatencyKind(StrEnum):
    """Kinds of latency beside the states of threads and the causes of blame."""

    CPU = "cpu"
    CLIENT = "client"  # waiting for a client to take its answer
    ACK = "ack"  # the answer's last piece waits for the client to acknowledge its first


@dataclass(frozen=True, slots=True)
class EventLoopLoad:
    """The busiest event-loop thread: how much of its time it computed, waited for a CPU, and slept
    outside its poll.
    """

    on_cpu: Share
    queued: Share
    blocked: Share
    state: str  # what it slept in mostly, "" when it did not

    @property
    def taken(self) -> Share:
        return self.on_cpu + self.queued + self.blocked


@dataclass(frozen=True, slots=True)
class Features:
    """What the rules look at. Times are seconds per request; `added` is latency added between
    baseline and knee, by kind, `standing` the same kinds at the knee, as they stand.

    Kinds: cpu, gil, run_queue, lock, pool, handoff, socket, peer, client, ack (it counts as added
    at any load, for it need not be there), sleep, disk, other, and the same behind `unseen:` for
    requests that waited before a thread had them, by what the threads did or waited for meanwhile
    (`await`: an event loop idled).

    `paused` is the share of the time in which all threads stood still for the collector, and
    `collecting` the cores that it used.

    `process_cpu` is what the busiest process uses where its runtime leaves it one core, else 0.
    `pool_use` is of the pool that is taken most, `pool_is_loop` whether its threads are event
    loops. `grew_waits` is own wait per request by state, knee over baseline. Where no stacks of
    waiting threads are to be had, the kind `hidden` is time in which no thread did anything or
    waited for anything that can be told, and `helpers` are the threads that a loop hands blocking
    work to and that are taken, called `helpers_name`. `growth` is how sure it is that answers
    took longer, as the parts together say.
    """

    cpu: Cores | None
    cores: Cores | None
    traits: RuntimeTraits
    process_cpu: Cores
    processes: int
    threads: Mapping[str, float]
    added: Mapping[str, Seconds]
    standing: Mapping[str, Seconds]
    unseen: float
    limiting: LimitingResource
    pool_use: PoolUse | None
    pool_is_loop: bool
    loop: EventLoopLoad | None
    helpers: PoolUse | None
    helpers_name: str
    contentions: tuple[Contention, ...]
    contended: Mapping[tuple[FunctionKey, str], tuple[float, int]]
    long_polls: tuple[LongPoll, ...]
    endpoints: Mapping[str, float]
    trial: Trial | None
    base_trial: Trial | None
    throttled: Share
    host: Share | None
    psi_io: Share | None = None
    psi_memory: Share = 0.0
    oom_kills: int = 0
    connections: Mapping[str, int] = field(default_factory=dict)
    failures: Failures | None = None
    grew_waits: Mapping[str, float] = field(default_factory=dict)
    compared: bool = False
    growth: Share = 1.0
    wire: WireReading | None = None
    own_part: Share = 1.0
    peers: tuple[PeerLoad, ...] = ()
    paused: Share = 0.0
    collecting: Cores = 0.0

    def share(self, *kinds: str) -> Share:
        """The share of what load added (without a baseline, of all time) that is of these kinds."""
        return self.share_of(sum(max(self._parts.get(kind, 0.0), 0.0) for kind in kinds))

    def share_of(self, seconds: Seconds) -> Share:
        """The share that some of that time is; of what chance added (`growth`) there is none."""
        whole = sum(value for value in self._parts.values() if value > 0)
        return self.growth * min(1.0, max(0.0, seconds) / whole) if whole > 0 else 0.0

    @property
    def _parts(self) -> Mapping[str, Seconds]:
        return self.added if self.compared else self.standing

    def share_anywhere(self, *kinds: str) -> Share:
        """The same, within threads or before them."""
        return self.share(*kinds, *(unseen(kind) for kind in kinds))

    @property
    def interference(self) -> Interference | None:
        """What took the machine from the target meanwhile; None where nobody looked."""
        return self.trial.interference if self.trial is not None else None

    @property
    def acknowledging(self) -> Share:
        """The share of the mean latency that was seen to be a wait for acknowledgements."""
        if self.wire is None or not is_certain(self.wire.wire):
            return 0.0
        return min(1.0, ack_wait(self.wire.wire) / self.wire.service)

    @property
    def peers_part(self) -> Share:
        """Of the CPU that the target and its peers used, the peers' part: that much of the wait for
        a CPU is not the target's own code.
        """
        theirs = sum(load.cpu for load in self.peers)
        whole = theirs + (self.cpu or 0.0)
        return theirs / whole if whole else 0.0

    @property
    def filled(self) -> Share:
        """How much of the cores that they share the target and its peers used together."""
        theirs = sum(load.cpu for load in self.peers)
        allowed = (load.peer.allowed or 0.0 for load in self.peers if load.cpu)
        cores = max(self.cores or 0.0, *allowed, 0.0)
        return ((self.cpu or 0.0) + theirs) / cores if theirs and cores else 0.0

    @property
    def of_cores(self) -> Share:
        """How much of the cores it may use the target used; 0 when that is not known."""
        return self.cpu / self.cores if self.cpu is not None and self.cores else 0.0


def features_of(
    reading: EvidenceReading, suspects: Suspects, failures: Failures | None = None
) -> Features:
    """The features of one investigation; `failures` is how requests failed in its search."""
    knee, baseline, span = reading.knee, reading.baseline, reading.knee.span
    resources = span.resources or Resources(0.0)
    at_knee = _kinds(suspects.at_knee.values(), knee)
    at_base = {} if baseline is None else _kinds(suspects.at_baseline.values(), baseline)
    base_trial = baseline.span.trial if baseline is not None else None
    traits = traits_of(reading.evidence.runtime, reading.evidence.version)
    wire = wire_at_knee(reading)
    acknowledged = {LatencyKind.ACK: ack_wait(wire.wire)} if wire is not None else {}
    group = max(knee.pools, key=lambda g: knee.pools[g].busy, default=())
    added = {k: at_knee.get(k, 0.0) - at_base.get(k, 0.0) for k in {**at_knee, **at_base}}
    compared = reading.comparable or (HIDDEN in at_knee and HIDDEN in at_base)
    return Features(
        cpu=on_cpu(span),
        cores=reading.evidence.cores,
        traits=traits,
        process_cpu=one_core_use(reading),
        processes=len({t.pid for t in span.states.threads}) if span.states else 1,
        threads=_threads(knee),
        added=added | acknowledged,
        standing=at_knee | acknowledged,
        unseen=knee.unseen,
        limiting=suspects.limiting.resource,
        pool_use=knee.pools.get(group),
        pool_is_loop=traits.main_loop or group in _loop_groups(reading),
        loop=max(loop_loads(reading).values(), key=lambda load: load.taken, default=None),
        helpers=helpers_of(knee, traits),
        helpers_name=name_of_helpers(span.states, traits),
        contentions=tuple(sorted(knee.account.graph.contentions, key=lambda c: -c.waiting)),
        contended=knee.contended,
        long_polls=span.profile.long_polls if span.profile is not None else (),
        endpoints=_endpoints(knee),
        trial=span.trial,
        base_trial=base_trial,
        throttled=resources.throttled or 0.0,
        host=resources.host_cpu_share,
        psi_io=resources.psi_io,
        psi_memory=resources.psi_memory or 0.0,
        oom_kills=resources.oom_kills or 0,
        connections=dict(resources.connections),
        failures=failures or failures_of(filter(None, (span.trial,)), base_trial),
        grew_waits=_grew_waits(at_knee, at_base),
        compared=compared,
        growth=certainty_of_growth(knee, baseline if compared else None, added.values()),
        wire=wire,
        own_part=knee.own_part,
        peers=peer_loads(reading, suspects),
        paused=knee.paused,
        collecting=_collecting(knee) if traits.collector else 0.0,
    )


def _collecting(knee: SpanReading) -> Cores:
    """Cores that collecting garbage used, in threads of its own or by the profile."""
    used = sum(knee.use.collects.values()) / knee.use.samples if knee.use.samples else 0.0
    return collecting(knee.span.states, knee.paused) + used * (on_cpu(knee.span) or 0.0)


def wire_at_knee(reading: EvidenceReading) -> WireReading | None:
    """What passed between client and service at about the load of the knee."""
    trial = reading.knee.span.trial
    if trial is None:
        return None
    return wire_reading(about(reading.evidence.trials, trial.step.rate) or (trial,))


def _threads(knee: SpanReading) -> dict[str, float]:
    """Mean threads per state: the busy ones, or all where stacks do not tell which idle."""
    if knee.has_instants:
        return knee.account.states()
    return knee.span.states.totals() if knee.span.states else {}


def _kinds(costs: Iterable[Cost], reading: SpanReading) -> dict[str, Seconds]:
    """Seconds per request by kind, over all functions; by the states of threads where no stacks of
    what waits are to be had.
    """
    if not reading.has_instants and (told := told_by_states(reading)):
        return told
    totals: dict[str, Seconds] = {}
    to_client = _to_client(reading)
    for cost in costs:
        parts: list[tuple[str, Seconds]] = [(LatencyKind.CPU, cost.cpu)]
        for state, value in cost.waits.items():
            client = state == ThreadState.SOCKET and cost.key in to_client
            parts.append((LatencyKind.CLIENT if client else state, value))
        parts += [(cause, value) for (cause, _), value in cost.queues.items()]
        for kind, value in parts:
            totals[kind] = totals.get(kind, 0.0) + value
    return totals


def _to_client(reading: SpanReading) -> set[FunctionKey]:
    """Functions that mostly wait for clients."""
    return {
        key
        for key, waits in reading.account.wait_on.items()
        if sum(n for target, n in waits.items() if target.startswith(CLIENT_SOCKET))
        > _MOSTLY * sum(waits.values())
    }


def _endpoints(reading: SpanReading) -> dict[str, float]:
    """Mean threads waiting on each endpoint, where no stacks tell who waits there; else none."""
    exact = reading.span.states
    return dict(exact.endpoints()) if exact is not None and not reading.has_instants else {}


def _grew_waits(knee: Mapping[str, Seconds], base: Mapping[str, Seconds]) -> dict[str, float]:
    return {
        state: knee[state] / base[state] if base.get(state) else float("inf")
        for state in _GROWING
        if knee.get(state)
    }


def _loop_groups(reading: EvidenceReading) -> set[ThreadGroup]:
    """The kinds of threads that run event loops, and of what runs on them in stacks of its own."""
    instants, loops = reading.knee.span.instants, _loop_threads(reading)
    threads = (t for instant in instants for t in instant.threads) if instants is not None else ()
    return {thread_group(t) for t in threads if in_event_loop(t.stack) or (t.pid, t.tid) in loops}


def loop_loads(reading: EvidenceReading) -> dict[tuple[int, int], EventLoopLoad]:
    """Every event-loop thread's load, by (pid, tid): by exact thread states; by the instants
    without those.
    """
    span = reading.knee.span
    traits = traits_of(reading.evidence.runtime, reading.evidence.version)
    if traits.main_loop:
        exact = span.states is not None and span.states.source == "syscall"
        mains = main_threads(reading.knee) if exact else ()
        return {(t.pid, t.tid): load_of(t.states) for t in mains}
    loops = _loop_threads(reading) or _driving_threads(reading)
    by_stacks = traits.parks and span.instants is not None
    if span.states is not None and span.states.source == "syscall" and not by_stacks:
        found = ((t.pid, t.tid, t.states) for t in span.states.threads)
        return {(pid, tid): load_of(states) for pid, tid, states in found if (pid, tid) in loops}
    if span.instants is not None and len(span.instants):
        return {thread: load_of(_states_of(thread, reading)) for thread in loops}
    return {}


def _loop_threads(reading: EvidenceReading) -> set[tuple[int, int]]:
    """The threads, as (pid, tid), that are mostly seen in an event loop, at work or when there is
    less of it: what a greenlet does is on a stack of its own, with no loop beneath it.
    """
    evidence = reading.evidence
    baseline = evidence.baseline.instants if evidence.baseline is not None else None
    spans = (reading.knee.span.instants, baseline, evidence.idle)
    looping = (_mostly_in_loop(instants) for instants in spans if instants is not None)
    return set().union(*looping, _multiplexing(evidence))


def _multiplexing(evidence: Evidence) -> set[tuple[int, int]]:
    """The threads of compiled code that, without load, wait for many descriptors at once: whatever
    library that is, it is an event loop.
    """
    if not traits_of(evidence.runtime, evidence.version).parks or evidence.idle is None:
        return set()
    looks = [t for instant in evidence.idle for t in instant.threads if t.stack]
    there = Counter((t.pid, t.tid) for t in looks)
    waits = Counter((t.pid, t.tid) for t in looks if _MULTIPLEX.search(t.stack[-1].function))
    return {thread for thread, n in waits.items() if n > _MOSTLY * there[thread]}


def _driving_threads(reading: EvidenceReading) -> set[tuple[int, int]]:
    """The thread, by process, that runs tasks where none is seen in an event loop (it is not of
    Python): the one that was mostly at work in Python code while tasks that could go on waited.
    """
    at_work: dict[int, Counter[int]] = {}
    for instant in reading.knee.span.instants or ():
        waited = {t.pid for t in instant.threads if t.task and t.state == ThreadState.LOOP}
        for t in instant.threads:
            if t.pid in waited and not t.task and t.stack and t.state in _AT_WORK:
                at_work.setdefault(t.pid, Counter())[t.tid] += 1
    return {(pid, seen.most_common(1)[0][0]) for pid, seen in at_work.items()}


def _mostly_in_loop(instants: Instants) -> set[tuple[int, int]]:
    threads = [t for instant in instants for t in instant.threads]
    instants_of = Counter((t.pid, t.tid) for t in threads)
    looping = Counter((t.pid, t.tid) for t in threads if in_event_loop(t.stack))
    return {thread for thread, n in looping.items() if n > _MOSTLY * instants_of[thread]}


def _states_of(thread: tuple[int, int], reading: EvidenceReading) -> dict[str, Share]:
    """The share of instants at the knee that a thread was in each state; to wait for work, however
    it does, is to poll.
    """
    instants, shares = reading.knee.span.instants or (), dict[str, Share]()
    for t in (t for instant in instants for t in instant.threads if (t.pid, t.tid) == thread):
        state = ThreadState.POLL if reading.idle.covers(t) else t.state
        shares[state] = shares.get(state, 0.0) + 1 / len(instants)
    return shares


def load_of(states: Mapping[str, Share]) -> EventLoopLoad:
    """The load of an event loop's thread by the shares of its time in each state."""
    blocked = {state: states.get(state, 0.0) for state in BLOCKING}
    total = sum(blocked.values())
    return EventLoopLoad(
        on_cpu=states.get(ThreadState.ON_CPU, 0.0),
        queued=states.get(ThreadState.RUN_QUEUE, 0.0) + states.get(ThreadState.GIL, 0.0),
        blocked=total,
        state=str(max(blocked, key=lambda state: blocked[state])) if total > 0 else "",
    )
