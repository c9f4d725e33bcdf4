"""The evidence read once: what every function cost per request, whom the queues are charged to, how
busy each pool was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from perfhunt.analysis.blame.charge import BlameAccount, charge
from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.frames import Code, Key, awaits, path_of
from perfhunt.analysis.blame.idle import IdleBook, learn
from perfhunt.analysis.blame.raked import raked
from perfhunt.analysis.blame.reconciled import reconciled
from perfhunt.analysis.blame.snapshots import Snapshots, thread_group, view
from perfhunt.model.profile import Frame, Instants, Profile, ProfileMode, Stack
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Cores, Seconds, Share

_PROFILED = 100  # samples from which a profile knows the users of the CPU
_BEYOND = 0.2  # of the CPU's users, from which code without the GIL is no chance
_WOKEN = 0.25  # of the threads that wait for the GIL, how many run or queue at a time to ask for it
_RUNNABLE = (ThreadState.ON_CPU, ThreadState.RUN_QUEUE)
_EMPTY = Instants(0.0, ())


@dataclass(frozen=True, slots=True)
class CpuUse:
    """Who used the CPU, from on-CPU stacks: weights per function on top and anywhere, and the
    samples behind them.
    """

    own: Mapping[Key, float] = field(default_factory=dict)
    total: Mapping[Key, float] = field(default_factory=dict)
    frames: Mapping[Key, Frame] = field(default_factory=dict)
    via: Mapping[Key, Counter[str]] = field(default_factory=dict)
    callers: Mapping[Key, Counter[str]] = field(default_factory=dict)
    awaits: Mapping[Key, float] = field(
        default_factory=dict
    )  # weight seen in an event loop's own input and output
    samples: float = 0.0

    def shares(self) -> dict[Key, Share]:
        """Share of the CPU per function on top; sums to 1 unless empty."""
        return (
            {key: weight / self.samples for key, weight in self.own.items()} if self.samples else {}
        )


@dataclass(frozen=True, slots=True)
class SpanReading:
    """One span, read. `cpu` is exact CPU seconds per request; `unseen` the requests in flight that
    no thread was working on.
    """

    span: Span
    views: Snapshots
    ledger: BlameAccount
    use: CpuUse
    cpu: Seconds | None
    in_flight: float | None
    unseen: float
    pools: Mapping[
        tuple[Key, ...], tuple[float, float]
    ]  # thread group -> (threads, busy threads), means
    own_part: Share = 1.0  # of the wait for a CPU: the rest is other processes' doing

    @property
    def has_instants(self) -> bool:
        return self.ledger.instants > 0


@dataclass(frozen=True, slots=True)
class EvidenceReading:
    """Both spans, with the rules by which application code and idling were told apart."""

    evidence: Evidence
    code: Code
    idle: IdleBook
    knee: SpanReading
    baseline: SpanReading | None


def read_evidence(evidence: Evidence) -> EvidenceReading:
    """The evidence, read."""
    code = Code.seen(_stacks(evidence), evidence.app_modules)
    idle = learn(evidence, code)
    baseline = (
        _reading(evidence.baseline, code, idle, None, evidence.cores)
        if evidence.baseline is not None
        else None
    )
    return EvidenceReading(
        evidence,
        code,
        idle,
        _reading(evidence.knee, code, idle, baseline, evidence.cores),
        baseline,
    )


def _stacks(evidence: Evidence) -> Iterator[Stack]:
    for span in (evidence.knee, evidence.baseline):
        if span is not None and span.profile is not None:
            yield from span.profile.stacks
        if span is not None and span.instants is not None:
            yield from (t.stack for instant in span.instants for t in instant.threads)


def _reading(
    span: Span, code: Code, idle: IdleBook, baseline: SpanReading | None, cores: Cores | None
) -> SpanReading:
    instants = raked(reconciled(span.instants or _EMPTY, idle.covers), span.states, span.profile)
    views = view(instants, code, idle)
    use = cpu_use(span.profile, code, idle) if span.profile is not None else _use_of(views)
    if span.profile is not None and span.profile.mode == ProfileMode.GIL:
        use = _with_native(use, span, views)
    ledger = charge(
        views, use.shares(), profiled=span.profile is not None and use.samples >= _PROFILED
    )
    in_flight = span.completed * span.service if span.service is not None else None
    unseen = 0.0
    if in_flight is not None and ledger.instants:
        # What a request spends outside the server at the lowest load is the network and the
        # generator, not a queue.
        floor = 0.0 if baseline is None else _outside(baseline) * span.completed
        unseen = max(0.0, in_flight - ledger.busy() - floor)
    return SpanReading(
        span,
        views,
        ledger,
        use,
        cpu_per_request(span),
        in_flight,
        unseen,
        _pools(instants, views),
        own_part(span, cores),
    )


def _outside(baseline: SpanReading) -> Seconds:
    if baseline.in_flight is None or not baseline.has_instants or not baseline.span.completed:
        return 0.0
    return max(0.0, baseline.in_flight - baseline.ledger.busy()) / baseline.span.completed


def cpu_per_request(span: Span) -> Seconds | None:
    """CPU seconds per completed request (D = U/X), exact where the scheduler's own count is known;
    None when nothing is.
    """
    if not span.completed:
        return None
    if span.resources is not None and span.resources.cpu is not None:
        return span.resources.cpu / span.completed
    if span.states is not None:
        return span.states.in_state(ThreadState.ON_CPU) / span.completed
    return None


def on_cpu(span: Span) -> Cores | None:
    """Cores the target used during the span; None when nothing says."""
    per_request = cpu_per_request(span)
    return None if per_request is None else per_request * span.completed


def own_part(span: Span, cores: Cores | None) -> Share:
    """The target's part of what kept the host's CPUs busy: that much of the wait for a CPU is its
    own doing.
    """
    used, resources = on_cpu(span), span.resources
    if used is None or resources is None or not resources.host_cpu_share or not cores:
        return 1.0
    return min(1.0, used / (resources.host_cpu_share * cores))


def cpu_use(profile: Profile, code: Code, idle: IdleBook) -> CpuUse:
    """The CPU's users in a profile of on-CPU (or GIL-holding) stacks; stacks on which the service
    idles are left out.
    """
    own: dict[Key, float] = {}
    total: dict[Key, float] = {}
    frames: dict[Key, Frame] = {}
    via: dict[Key, Counter[str]] = {}
    callers: dict[Key, Counter[str]] = {}
    heaviest: dict[Key, float] = {}
    awaiting: dict[Key, float] = {}
    for stack, weight in profile.stacks.items():
        owner = code.owner(stack)
        if owner is None or path_of(stack) in idle.paths:
            continue
        own[owner.key] = own.get(owner.key, 0.0) + weight
        above = code.app_frames(stack)
        for key in {f.key for f in above} | {owner.key}:
            total[key] = total.get(key, 0.0) + weight
        if owner.is_app and awaits(stack, owner.frame):
            awaiting[owner.key] = awaiting.get(owner.key, 0.0) + weight
        if weight > heaviest.get(owner.key, 0.0):
            heaviest[owner.key] = weight
            frames[owner.key] = owner.frame
        via.setdefault(owner.key, Counter())[owner.via] += round(weight)
        caller = next((f.function for f in reversed(above) if f.key != owner.key), "")
        if caller:
            callers.setdefault(owner.key, Counter())[caller] += round(weight)
    return CpuUse(own, total, frames, via, callers, awaiting, sum(own.values()))


def _with_native(use: CpuUse, span: Span, views: Snapshots) -> CpuUse:
    """The users of the CPU with those added that a profile of the GIL's holder cannot see: C code
    that let the GIL go.

    Threads that run or wait for a CPU share it alike, so the part of such code is its part of those
    threads. A thread that was only woken to ask for the GIL looks the same, but where such threads
    are, more of them wait for the GIL than run.
    """
    profile = span.profile
    if profile is None or not profile.ticks or not use.samples:
        return use
    free = [
        v
        for now in views
        for v in now
        if v.state in _RUNNABLE and not v.sample.holds_gil and not v.parked_path
    ]
    asking = Counter((v.path, v.line) for now in views for v in now if v.state == ThreadState.GIL)
    running = Counter((v.path, v.line) for v in free)
    weights: dict[Key, float] = {}
    for v in free:
        spot = (v.path, v.line)
        weights[v.owner.key] = weights.get(v.owner.key, 0.0) + max(
            0.0, 1.0 - asking[spot] / running[spot]
        )
    held = profile.total / profile.ticks
    looks = max(len(views), 1)
    room = (
        running.total()
        + sum(v.sample.holds_gil for now in views for v in now if v.state in _RUNNABLE)
    ) / looks
    room -= held + _WOKEN * asking.total() / looks
    native = min(sum(weights.values()) / looks, room)
    if native <= 0 or native < _BEYOND * (native + held):
        return use
    each = use.samples * (native / held) / sum(weights.values())
    own, total, frames = dict(use.own), dict(use.total), dict(use.frames)
    for v in free:
        part = each * max(0.0, 1.0 - asking[(v.path, v.line)] / running[(v.path, v.line)])
        own[v.owner.key] = own.get(v.owner.key, 0.0) + part
        frames.setdefault(v.owner.key, v.owner.frame)
        for key in set(v.app) | {v.owner.key}:
            total[key] = total.get(key, 0.0) + part
    return replace(use, own=own, total=total, frames=frames, samples=sum(own.values()))


def _use_of(views: Snapshots) -> CpuUse:
    """The CPU's users as the instants saw them, when there is no profile."""
    own: dict[Key, float] = {}
    total: dict[Key, float] = {}
    frames: dict[Key, Frame] = {}
    for v in (
        v for now in views for v in now if v.state == ThreadState.ON_CPU and not v.parked_path
    ):
        own[v.owner.key] = own.get(v.owner.key, 0.0) + 1
        frames[v.owner.key] = v.owner.frame
        for key in set(v.app) | {v.owner.key}:
            total[key] = total.get(key, 0.0) + 1
    return CpuUse(own, total, frames, samples=sum(own.values()))


def _pools(instants: Instants, views: Snapshots) -> dict[tuple[Key, ...], tuple[float, float]]:
    threads = Counter(thread_group(t) for instant in instants for t in instant.threads if t.stack)
    busy = Counter(thread_group(v.sample) for now in views for v in now)
    count = max(len(instants), 1)
    return {group: (n / count, busy[group] / count) for group, n in threads.items()}
