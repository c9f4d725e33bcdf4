"""The evidence read once: what every function cost per request, whom the queues are charged to, how busy each pool was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from perfhunt.analysis.blame import Ledger, charge
from perfhunt.analysis.blame_balanced import balanced
from perfhunt.analysis.blame_mended import mended
from perfhunt.analysis.blame_views import Views, thread_group, view
from perfhunt.analysis.evidence import Evidence, Span
from perfhunt.analysis.frames import Code, Key, awaits, path_of
from perfhunt.analysis.idle import IdleBook, learn
from perfhunt.model.profile import Frame, Instants, Profile, Stack
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Cores, Seconds, Share

_PROFILED = 100  # samples from which a profile knows the users of the CPU
_BEYOND = 0.2  # of the CPU time, unexplained by the GIL's holder
_PRIOR = 8.0  # looks
_EMPTY = Instants(0.0, ())


@dataclass(frozen=True, slots=True)
class CpuUse:
    """Who used the CPU, from on-CPU stacks: weights per function on top and anywhere, and the samples behind them."""

    own: Mapping[Key, float] = field(default_factory=dict)
    total: Mapping[Key, float] = field(default_factory=dict)
    frames: Mapping[Key, Frame] = field(default_factory=dict)
    via: Mapping[Key, Counter[str]] = field(default_factory=dict)
    callers: Mapping[Key, Counter[str]] = field(default_factory=dict)
    awaits: Mapping[Key, float] = field(default_factory=dict)  # weight seen in an event loop's own input and output
    samples: float = 0.0

    def shares(self) -> dict[Key, Share]:
        """Share of the CPU per function on top; sums to 1 unless empty."""
        return {key: weight / self.samples for key, weight in self.own.items()} if self.samples else {}


@dataclass(frozen=True, slots=True)
class Reading:
    """One span, read. `cpu` is exact CPU seconds per request; `unseen` the requests in flight that no thread was working on."""

    span: Span
    views: Views
    ledger: Ledger
    use: CpuUse
    cpu: Seconds | None
    in_flight: float | None
    unseen: float
    pools: Mapping[tuple[Key, ...], tuple[float, float]]  # thread group -> (threads, busy threads), means
    own_part: Share = 1.0  # of the wait for a CPU: the rest is other processes' doing

    @property
    def has_instants(self) -> bool:
        return self.ledger.instants > 0


@dataclass(frozen=True, slots=True)
class Picture:
    """Both spans, with the rules by which application code and idling were told apart."""

    evidence: Evidence
    code: Code
    idle: IdleBook
    knee: Reading
    baseline: Reading | None


def picture(evidence: Evidence) -> Picture:
    """The evidence, read."""
    code = Code.seen(_stacks(evidence), evidence.app_modules)
    idle = learn(evidence, code)
    baseline = _reading(evidence.baseline, code, idle, None, evidence.cores) if evidence.baseline is not None else None
    return Picture(evidence, code, idle, _reading(evidence.knee, code, idle, baseline, evidence.cores), baseline)


def _stacks(evidence: Evidence) -> Iterator[Stack]:
    for span in (evidence.knee, evidence.baseline):
        if span is not None and span.profile is not None:
            yield from span.profile.stacks
        if span is not None and span.instants is not None:
            yield from (t.stack for instant in span.instants for t in instant.threads)


def _reading(span: Span, code: Code, idle: IdleBook, baseline: Reading | None, cores: Cores | None) -> Reading:
    instants = balanced(mended(span.instants or _EMPTY, idle.covers), span.states, span.profile)
    views = view(instants, code, idle)
    use = cpu_use(span.profile, code, idle) if span.profile is not None else _use_of(views)
    if span.profile is not None and span.profile.mode == "gil":
        use = _with_native(use, span, views)
    ledger = charge(views, use.shares(), profiled=span.profile is not None and use.samples >= _PROFILED)
    in_flight = span.completed * span.service if span.service is not None else None
    unseen = 0.0
    if in_flight is not None and ledger.instants:
        # What a request spends outside the server at the lowest load is the network and the generator, not a queue.
        floor = 0.0 if baseline is None else _outside(baseline) * span.completed
        unseen = max(0.0, in_flight - ledger.busy() - floor)
    return Reading(
        span, views, ledger, use, cpu_per_request(span), in_flight, unseen, _pools(instants, views), own_part(span, cores)
    )


def _outside(baseline: Reading) -> Seconds:
    if baseline.in_flight is None or not baseline.has_instants or not baseline.span.completed:
        return 0.0
    return max(0.0, baseline.in_flight - baseline.ledger.busy()) / baseline.span.completed


def cpu_per_request(span: Span) -> Seconds | None:
    """CPU seconds per completed request (D = U/X), exact where the scheduler's own count is known; None when nothing is."""
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
    """The target's part of what kept the host's CPUs busy: that much of the wait for a CPU is its own doing."""
    used, resources = on_cpu(span), span.resources
    if used is None or resources is None or not resources.host_cpu_share or not cores:
        return 1.0
    return min(1.0, used / (resources.host_cpu_share * cores))


def cpu_use(profile: Profile, code: Code, idle: IdleBook) -> CpuUse:
    """The CPU's users in a profile of on-CPU (or GIL-holding) stacks; stacks on which the service idles are left out."""
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


def _with_native(use: CpuUse, span: Span, views: Views) -> CpuUse:
    """The users of the CPU with those added that a profile of the GIL's holder cannot see: C code that let the GIL go.

    Their part is the exact CPU time beyond the time the GIL was held; who they are is taken from the instants.
    """
    used, profile = on_cpu(span), span.profile
    if used is None or profile is None or not profile.ticks or not use.samples:
        return use
    held = profile.total / profile.ticks
    free = [v for now in views for v in now if v.state == ThreadState.ON_CPU and not v.sample.holds_gil and not v.parked_path]
    if used - held < _BEYOND * used or not free:
        return use
    rest = use.samples * (used / held - 1.0)
    # A handful of looks says little: as many again are taken to be spread like the samples that were seen.
    each, spread = rest / (len(free) + _PRIOR), 1.0 + rest * _PRIOR / (len(free) + _PRIOR) / use.samples
    own = {key: weight * spread for key, weight in use.own.items()}
    total = {key: weight * spread for key, weight in use.total.items()}
    frames = dict(use.frames)
    for v in free:
        own[v.owner.key] = own.get(v.owner.key, 0.0) + each
        frames.setdefault(v.owner.key, v.owner.frame)
        for key in set(v.app) | {v.owner.key}:
            total[key] = total.get(key, 0.0) + each
    return replace(use, own=own, total=total, frames=frames, samples=sum(own.values()))


def _use_of(views: Views) -> CpuUse:
    """The CPU's users as the instants saw them, when there is no profile."""
    own: dict[Key, float] = {}
    total: dict[Key, float] = {}
    frames: dict[Key, Frame] = {}
    for v in (v for now in views for v in now if v.state == ThreadState.ON_CPU and not v.parked_path):
        own[v.owner.key] = own.get(v.owner.key, 0.0) + 1
        frames[v.owner.key] = v.owner.frame
        for key in set(v.app) | {v.owner.key}:
            total[key] = total.get(key, 0.0) + 1
    return CpuUse(own, total, frames, samples=sum(own.values()))


def _pools(instants: Instants, views: Views) -> dict[tuple[Key, ...], tuple[float, float]]:
    threads = Counter(thread_group(t) for instant in instants for t in instant.threads if t.stack)
    busy = Counter(thread_group(v.sample) for now in views for v in now)
    count = max(len(instants), 1)
    return {group: (n / count, busy[group] / count) for group, n in threads.items()}
