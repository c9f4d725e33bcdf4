"""Who uses the CPU: from a profile of on-CPU or GIL-holding stacks, else from the instants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from perfhunt.analysis.blame.evidence import Span
from perfhunt.analysis.blame.frames import Code, FunctionKey, awaits, call_path
from perfhunt.analysis.blame.idle import IdlePaths
from perfhunt.analysis.blame.snapshots import Snapshot, Snapshots
from perfhunt.model.profile import (
    COLLECTS_GARBAGE,
    Frame,
    FrameKind,
    Profile,
    ProfileMode,
    Stack,
)
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Cores, Share

_RUNNABLE = (ThreadState.ON_CPU, ThreadState.RUN_QUEUE)


# Where Go collects garbage: goroutines of its own, and what a request's own does for the collector
# (runtime/mgc.go, mgcmark.go, mgcsweep.go, mwbbuf.go).
_COLLECTS_BESIDE = frozenset(
    {"runtime.gcBgMarkWorker", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcMarkDone"}
)
_COLLECTS_WITHIN = frozenset(
    {"runtime.gcAssistAlloc", "runtime.wbBufFlush", "runtime.gcmarknewobject"}
)
_ALLOCATES = "runtime.mallocgc"


@dataclass(frozen=True, slots=True)
class NativeThresholds:
    """From when code that runs without the GIL is believed in. Chosen on services that hash and
    compress beside Python code; not calibrated.
    """

    # Of the CPU's users, the part below which such code is chance: few instants see it.
    least: Share = 0.2
    # Of the threads that wait for the GIL, how many run or queue at a time only to ask for it:
    # a waiter wakes every 5 ms (CPython's switch interval) to do so.
    woken: Share = 0.25


NATIVE = NativeThresholds()


@dataclass(frozen=True, slots=True)
class CpuUse:
    """Who used the CPU, from on-CPU stacks: weights per function on top and anywhere, and the
    samples behind them. `awaits` is the weight seen in an event loop's own input and output;
    `collects` what of `own` went into collecting garbage, by who took the memory; `native` what of
    it no profile saw, but `looks` at threads that ran or could.
    """

    own: Mapping[FunctionKey, float] = field(default_factory=dict)
    total: Mapping[FunctionKey, float] = field(default_factory=dict)
    frames: Mapping[FunctionKey, Frame] = field(default_factory=dict)
    via: Mapping[FunctionKey, Counter[str]] = field(default_factory=dict)
    callers: Mapping[FunctionKey, Counter[str]] = field(default_factory=dict)
    awaits: Mapping[FunctionKey, float] = field(default_factory=dict)
    collects: Mapping[FunctionKey, float] = field(default_factory=dict)
    native: Mapping[FunctionKey, float] = field(default_factory=dict)
    looks: int = 0
    samples: float = 0.0

    def shares(self) -> dict[FunctionKey, Share]:
        """Share of the CPU per function on top; sums to 1 unless empty."""
        if not self.samples:
            return {}
        return {key: weight / self.samples for key, weight in self.own.items()}


def cpu_use_of(span: Span, snapshots: Snapshots, code: Code, idle: IdlePaths) -> CpuUse:
    """The CPU's users in a span, from the best source it has."""
    if span.profile is None or (span.profile.mostly_lost and any(snapshots)):
        return _with_seen_collecting(_use_in_snapshots(snapshots), snapshots)
    use = _with_seen_collecting(use_in_profile(span.profile, code, idle), snapshots)
    if span.profile.mode == ProfileMode.GIL:
        return _with_native(use, span.profile, snapshots)
    return use


def use_in_profile(profile: Profile, code: Code, idle: IdlePaths) -> CpuUse:
    """The CPU's users in a profile of on-CPU (or GIL-holding) stacks; stacks on which the service
    idles are left out. What collects garbage beside the requests is the use of those who took the
    memory, where some did.
    """
    return _with_collector(_use_in_stacks(profile, code, idle), profile, code)


def _use_in_stacks(profile: Profile, code: Code, idle: IdlePaths) -> CpuUse:
    own: dict[FunctionKey, float] = {}
    total: dict[FunctionKey, float] = {}
    frames: dict[FunctionKey, Frame] = {}
    via: dict[FunctionKey, Counter[str]] = {}
    callers: dict[FunctionKey, Counter[str]] = {}
    heaviest: dict[FunctionKey, float] = {}
    awaiting: dict[FunctionKey, float] = {}
    for stack, weight in profile.stacks.items():
        owner = code.owner(stack)
        if owner is None or call_path(stack) in idle.paths:
            continue
        key, app = owner.key, code.app_frames(stack)
        _credit(own, (key,), weight)
        _credit(total, dict.fromkeys((*call_path(stack), key)), weight)
        if owner.is_app and awaits(stack, owner.frame):
            _credit(awaiting, (key,), weight)
        if weight > heaviest.get(key, 0.0):
            heaviest[key] = weight
            frames[key] = owner.frame
        via.setdefault(key, Counter())[owner.via] += round(weight)
        caller = next((frame.function for frame in reversed(app) if frame.key != key), "")
        if caller:
            callers.setdefault(key, Counter())[caller] += round(weight)
    return CpuUse(
        own=own,
        total=total,
        frames=frames,
        via=via,
        callers=callers,
        awaits=awaiting,
        samples=sum(own.values()),
    )


def _with_collector(use: CpuUse, profile: Profile, code: Code) -> CpuUse:
    """The use with what a collector takes charged to who took the memory: what they collected
    themselves, and of what Go's does beside them their part of the bytes; without those, of the
    time that allocating takes.
    """
    own, total, collects = dict(use.own), dict(use.total), dict[FunctionKey, float]()
    taken, frames = dict[FunctionKey, float](), dict(use.frames)
    beside = dict[FunctionKey, float]()
    for stack, weight in profile.stacks.items():
        names = {frame.function for frame in stack if frame.kind == FrameKind.GO}
        within = _collects(stack)
        owner = code.owner(stack) if names or within else None
        if owner is None or owner.key not in use.own:
            continue
        if names & _COLLECTS_BESIDE:
            _credit(beside, (owner.key,), weight)
        elif within or names & _COLLECTS_WITHIN:
            _credit(collects, (owner.key,), weight)
        if _ALLOCATES in names and owner.is_app:
            _credit(taken, (owner.key,), weight)
    if profile.allocated:
        taken = {}
        for stack, size in profile.allocated.items():
            if (owner := code.owner(stack)) is not None and owner.is_app:
                _credit(taken, (owner.key,), size)
                frames.setdefault(owner.key, owner.frame)
    whole, rest = sum(taken.values()), sum(beside.values())
    if whole:
        own = {key: left for key, w in own.items() if (left := w - beside.get(key, 0.0)) > 0}
        for key, part in taken.items():
            for weights in (own, total, collects):
                _credit(weights, (key,), rest * part / whole)
    return replace(use, own=own, total=total, frames=frames, collects=collects)


def _collects(stack: Stack) -> bool:
    """Whether garbage is collected there and then, of a runtime that tells."""
    return bool(stack) and stack[-1].function == COLLECTS_GARBAGE.function and not stack[-1].file


def _with_seen_collecting(use: CpuUse, snapshots: Snapshots) -> CpuUse:
    """The use with what of it went into collecting, where a profile does not say so and the
    instants do: of each function the part of its own time at work.
    """
    if use.collects:
        return use
    at_work, collecting = Counter[FunctionKey](), Counter[FunctionKey]()
    for snapshot in (s for present in snapshots for s in present):
        if snapshot.state in _RUNNABLE:
            at_work[snapshot.owner.key] += 1
            collecting[snapshot.owner.key] += _collects(snapshot.sample.stack)
    collects = {k: use.own[k] * n / at_work[k] for k, n in collecting.items() if n and k in use.own}
    return replace(use, collects=collects) if collects else use


def _use_in_snapshots(snapshots: Snapshots) -> CpuUse:
    """The CPU's users as the instants saw them, when there is no profile to be believed."""
    own: dict[FunctionKey, float] = {}
    total: dict[FunctionKey, float] = {}
    frames: dict[FunctionKey, Frame] = {}
    for snapshot in (s for present in snapshots for s in present):
        if snapshot.state == ThreadState.ON_CPU and not snapshot.on_idle_path:
            _credit(own, (snapshot.owner.key,), 1.0)
            _credit(total, snapshot.on_stack, 1.0)
            frames[snapshot.owner.key] = snapshot.owner.frame
    return CpuUse(own=own, total=total, frames=frames, samples=sum(own.values()))


def _with_native(use: CpuUse, profile: Profile, snapshots: Snapshots) -> CpuUse:
    """The users of the CPU with those added that a profile of the GIL's holder cannot see: C code
    that let the GIL go.

    Threads that run or wait for a CPU share it alike, so the part of such code is its part of those
    threads. A thread that was only woken to ask for the GIL looks the same, but where such threads
    are, more of them wait for the GIL than run.
    """
    held = profile.mean_threads
    if not held or not use.samples:
        return use
    present = [s for at_once in snapshots for s in at_once]
    free = [
        s for s in present if s.state in _RUNNABLE and not s.sample.holds_gil and not s.on_idle_path
    ]
    asking = Counter(s.location for s in present if s.state == ThreadState.GIL)
    running = Counter(s.location for s in free)
    parts = {place: max(0.0, 1.0 - asking[place] / n) for place, n in running.items()}
    by_owner: dict[FunctionKey, float] = {}
    for snapshot in free:
        _credit(by_owner, (snapshot.owner.key,), parts[snapshot.location])
    whole = sum(by_owner.values())
    instants = max(len(snapshots), 1)
    holders = sum(s.sample.holds_gil for s in present if s.state in _RUNNABLE)
    room = (len(free) + holders) / instants - (held + NATIVE.woken * asking.total() / instants)
    native: Cores = min(whole / instants, room)
    if native <= 0 or native < NATIVE.least * (native + held):
        return use
    each = use.samples * (native / held) / whole
    added = _with_added(use, [(s, each * parts[s.location]) for s in free])
    beside = {key: each * weight for key, weight in by_owner.items()}
    return replace(added, native=beside, looks=len(free) + holders)


def _with_added(use: CpuUse, added: Iterable[tuple[Snapshot, float]]) -> CpuUse:
    """The use with the weight of each snapshot added to its functions."""
    own, total, frames = dict(use.own), dict(use.total), dict(use.frames)
    for snapshot, weight in added:
        _credit(own, (snapshot.owner.key,), weight)
        _credit(total, snapshot.on_stack, weight)
        frames.setdefault(snapshot.owner.key, snapshot.owner.frame)
    return replace(use, own=own, total=total, frames=frames, samples=sum(own.values()))


def _credit(
    weights: dict[FunctionKey, float], functions: Iterable[FunctionKey], weight: float
) -> None:
    for function in functions:
        weights[function] = weights.get(function, 0.0) + weight
