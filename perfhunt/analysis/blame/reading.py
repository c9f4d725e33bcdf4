"""The evidence read once: what threads did and waited for in each span, whom the queues are charged
to, and how busy each pool of threads was.

The walk: instants, their states reconciled with the stacks and raked to the exact totals, are
snapshots of busy threads; those, with the users of the CPU, are charged to functions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from statistics import fmean
from typing import NamedTuple

from perfhunt.analysis.blame.charge import BlameAccount, Cause, charge
from perfhunt.analysis.blame.cpu_use import CpuUse, cpu_use_of
from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.frames import Code, FunctionKey, Origin
from perfhunt.analysis.blame.idle import IdlePaths, idle_paths
from perfhunt.analysis.blame.raked import raked
from perfhunt.analysis.blame.reconciled import reconciled, with_commands
from perfhunt.analysis.blame.snapshots import Snapshots, ThreadGroup, snapshots_of, thread_group
from perfhunt.analysis.trial.wire import ack_wait
from perfhunt.model.profile import Frame, FrameKind, Instant, Instants, Stack, ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Cores, Seconds, Share

# Samples from which a profile knows the users of the CPU: a share of 20 % is then known to four
# points (one standard error).
PROFILED = 100
_NO_INSTANTS = Instants(0.0, ())
# Of a core: the account of processes and that of threads differ by less where no command runs.
_COMMANDS: Cores = 0.1
# Of the cores: from here who wants one waits for it.
_FULL: Share = 0.9


class PoolUse(NamedTuple):
    """Mean threads of one kind, and how many of them were busy."""

    threads: float
    busy: float


@dataclass(frozen=True, slots=True)
class SpanReading:
    """One span, read.

    `cpu_per_request` is exact CPU seconds per completed request. `in_flight` is the mean number of
    requests, `unseen` those of them that no thread was working on. `own_part` is how much of the
    wait for a CPU is the target's own doing, `peer_part` how much its peers': the rest is other
    processes'. `contended` is, for runtimes that tell of their locks, who waited for one: mean
    threads and waits, by function and `Cause` (a lock, or a pool).
    """

    span: Span
    snapshots: Snapshots
    account: BlameAccount
    use: CpuUse
    cpu_per_request: Seconds | None
    in_flight: float | None
    unseen: float
    pools: Mapping[ThreadGroup, PoolUse]
    own_part: Share = 1.0
    peer_part: Share = 0.0
    contended: Mapping[tuple[FunctionKey, str], tuple[float, int]] = field(default_factory=dict)

    @property
    def paused(self) -> Share:
        """The share of the time in which every thread stood still for the collector."""
        waits = self.span.profile.lock_waits if self.span.profile is not None else ()
        return sum(wait.threads for wait in waits if wait.of == Cause.COLLECTOR)

    @property
    def has_instants(self) -> bool:
        return self.account.instants > 0


@dataclass(frozen=True, slots=True)
class EvidenceReading:
    """Both spans, with the rules by which application code and idling were told apart."""

    evidence: Evidence
    code: Code
    idle: IdlePaths
    knee: SpanReading
    baseline: SpanReading | None

    @property
    def comparable(self) -> bool:
        """Whether threads were seen in both spans, so that growth is known."""
        return self.baseline is not None and self.baseline.has_instants and self.knee.has_instants


def read_evidence(evidence: Evidence) -> EvidenceReading:
    """The evidence, read. Costly: call it once, and hand on what it gives."""
    code = Code.of(_stacks(evidence), evidence.application)
    idle = idle_paths(evidence, code)
    code = code.idling_on([*idle.paths, *(path for path, _ in idle.exact)])
    baseline = None
    if evidence.baseline is not None:
        baseline = _read_span(evidence.baseline, code, idle, 0.0, evidence.cores)
    outside = 0.0 if baseline is None else _outside(baseline)
    knee = _read_span(evidence.knee, code, idle, outside, evidence.cores)
    return EvidenceReading(evidence, code, idle, knee=knee, baseline=baseline)


def files_of(evidence: Evidence) -> frozenset[str]:
    """The application's files that are on any stack."""
    code = Code.of(_stacks(evidence), evidence.application)
    return frozenset(
        frame.file
        for stack in _stacks(evidence)
        for frame in stack
        if frame.kind == FrameKind.PYTHON and frame.file and code.is_app(frame)
    )


def application_files(evidence: Evidence) -> Callable[[str], bool]:
    """What says of a path whether it is a file of the application."""
    code = Code.of(_stacks(evidence), evidence.application)
    return lambda file: code.origin(Frame("", file)) is Origin.APP


def _stacks(evidence: Evidence) -> Iterator[Stack]:
    for span in (evidence.knee, evidence.baseline):
        if span is not None and span.profile is not None:
            yield from span.profile.stacks
            yield from (wait.stack for wait in span.profile.lock_waits)
        if span is not None and span.instants is not None:
            yield from (t.stack for instant in span.instants for t in instant.threads)


def _read_span(
    span: Span, code: Code, idle: IdlePaths, outside: Seconds, cores: Cores | None
) -> SpanReading:
    """One span, read; a request spends `outside` seconds where no thread has it at any load."""
    instants = reconciled(span.instants or _NO_INSTANTS, idle.covers)
    instants = raked(instants, span.states, span.profile)
    if (commands := used_by_commands(span)) >= _COMMANDS:
        full = (_busy(span, cores) or 0.0) >= _FULL * (cores or inf)
        instants = with_commands(instants, commands, full)
    snapshots = snapshots_of(instants, code, idle)
    use = cpu_use_of(span, snapshots, code, idle)
    profile = span.profile
    whole = profile is not None and not profile.mostly_lost
    profiled = whole and use.samples >= PROFILED
    account = charge(snapshots, use.shares(), profiled=profiled)
    in_flight = span.completed * span.service if span.service is not None else None
    if span.in_service and len(span.in_service) == len(instants):
        in_flight = fmean(span.in_service)  # as many as there were when threads were looked at
    unseen = 0.0
    if in_flight is not None and account.instants:
        on_the_wire = (outside + _acknowledged(span)) * span.completed
        unseen = max(0.0, in_flight - account.busy() - on_the_wire)
    return SpanReading(
        span=span,
        snapshots=snapshots,
        account=account,
        use=use,
        cpu_per_request=cpu_per_request(span),
        in_flight=in_flight,
        unseen=unseen,
        pools=_pools(instants, snapshots),
        own_part=own_part(span, cores),
        peer_part=peer_part(span, cores),
        contended=_contended(span, code),
    )


def _contended(span: Span, code: Code) -> dict[tuple[FunctionKey, str], tuple[float, int]]:
    """Lock waits by the function that waits: of a monitor or a lock, it is the one that keeps it as
    well, since all who want it come the same way. While the collector stops all threads, every
    request that is there waits.
    """
    contended: dict[tuple[FunctionKey, str], tuple[float, int]] = {}
    for wait in span.profile.lock_waits if span.profile is not None else ():
        owner = code.owner(wait.stack)
        if owner is not None:
            threads, n = contended.get((owner.key, wait.of), (0.0, 0))
            each = span.requests or 0.0 if wait.of == Cause.COLLECTOR else 1.0
            contended[owner.key, wait.of] = threads + each * wait.threads, n + wait.n
    return contended


def _outside(baseline: SpanReading) -> Seconds:
    """What a request spends outside the server at the lowest load: the network and the generator,
    not a queue.
    """
    if baseline.in_flight is None or not baseline.has_instants or not baseline.span.completed:
        return 0.0
    outside = (baseline.in_flight - baseline.account.busy()) / baseline.span.completed
    return max(0.0, outside - _acknowledged(baseline.span))


def _acknowledged(span: Span) -> Seconds:
    """What of a request is the wait of its answer's last piece for an acknowledgement: no thread
    has it then, and none need.
    """
    return ack_wait(span.trial.wire) if span.trial is not None else 0.0


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


def used_by_commands(span: Span) -> Cores:
    """What went to processes that ended before they could be looked at, such as commands that a
    service runs; 0 where nobody knows. The account of a process has the children it waited for,
    that of its threads has not.
    """
    used = span.resources.cpu if span.resources is not None else None
    if used is None or span.states is None:
        return 0.0
    return max(0.0, used - span.states.in_state(ThreadState.ON_CPU))


def own_part(span: Span, cores: Cores | None) -> Share:
    """The target's part of what kept the CPUs busy that it may use: that much of the wait for a CPU
    is its own doing; where a quota stopped it, all of it is.
    """
    used, busy, resources = on_cpu(span), _busy(span, cores), span.resources
    if used is None or not busy or resources is None:
        return 1.0
    return 1.0 - (1.0 - (resources.throttled or 0.0)) * max(0.0, 1.0 - used / busy)


def _busy(span: Span, cores: Cores | None) -> Cores | None:
    """How many of the cores that the target may run on were busy, of `cores` where nobody looked at
    each; None where nobody knows.
    """
    trial, resources = span.trial, span.resources
    if trial is not None and trial.interference and trial.interference.target_busy is not None:
        return trial.interference.target_busy
    if resources is None or not resources.host_cpu_share or not cores:
        return None
    return resources.host_cpu_share * cores


def peer_part(span: Span, cores: Cores | None) -> Share:
    """The part of the target's peers in what kept the host's CPUs busy: they work for it."""
    theirs, busy = sum(peer.cores or 0.0 for peer in span.peers or ()), _busy(span, cores)
    return min(1.0 - own_part(span, cores), theirs / busy) if theirs and busy else 0.0


def _workers(instant: Instant) -> Iterator[ThreadSample]:
    """The threads that run Python; tasks are no pool, for there is one for every request."""
    return (thread for thread in instant.threads if thread.stack and not thread.task)


def _pools(instants: Instants, snapshots: Snapshots) -> dict[ThreadGroup, PoolUse]:
    threads = Counter(thread_group(t) for instant in instants for t in _workers(instant))
    busy = Counter(
        thread_group(s.sample) for present in snapshots for s in present if not s.sample.task
    )
    count = max(len(instants), 1)
    return {group: PoolUse(n / count, busy[group] / count) for group, n in threads.items()}
