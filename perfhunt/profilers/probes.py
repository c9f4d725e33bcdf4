"""Everything that looks at a live target during a run, as one thing: resources always, profilers
when asked.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from perfhunt.analysis.blame.evidence import Span
from perfhunt.errors import AttachFailed
from perfhunt.model.profile import EvidenceKind, Instants, Loss, Profile, ProfilePolicy
from perfhunt.model.run import TargetProcess
from perfhunt.model.states import Peer, States
from perfhunt.model.trial import AttachedTool, Interference, Resources, Trial
from perfhunt.model.units import Seconds
from perfhunt.profilers.choose import RATE_HZ, AttachPlan, choose
from perfhunt.profilers.following import FollowingCapture, workers_of
from perfhunt.profilers.instants import InstantsCapture
from perfhunt.profilers.peer_watch import PeerWatch
from perfhunt.profilers.profiler import AccountedCapture, LookerMaker, Profiler
from perfhunt.profilers.state_sampler import StateSampler
from perfhunt.profilers.table import looker_maker
from perfhunt.target.host.interference import InterferenceMonitor
from perfhunt.target.proc.namespaces import reaching
from perfhunt.target.resources.monitor import ResourceMonitor

IDLE: Seconds = 1.5  # of the target without load: a dozen instants
# Captures end this long before the load does, so that no sample is of the silence after it.
EARLY: Seconds = 0.5
UNTIL_STOPPED: Seconds = math.inf
_SHORTEST: Seconds = 1.0  # profilers count whole seconds
# The names, in a trial, of what looks at the target beside profilers.
THREAD_STATES, PEERS, SNAPSHOTS = "thread states", "peers", "thread snapshots"
_Given = TypeVar("_Given")
_ALLOW = "Allow the one that does, which opens a door into the target: --open-target."
_NOT_HERE = "perfhunt doctor --pid PID says what is missing."


class Attachment:
    """Profilers attached to the target for one span; leaving the context detaches them, whatever
    happened. `profile`, `instants`, `states` and `peers` are there then; each of them may be
    missing, which is one of the `losses`.
    """

    def __init__(
        self,
        probes: LiveProbes,
        name: str,
        seconds: Seconds,
        *,
        on_cpu: bool,
        waits: bool,
        settle: Seconds,
    ) -> None:
        self._probes, self._name, self._seconds = probes, name, seconds
        self._on_cpu, self._waits = on_cpu, waits
        self._settled = threading.Timer(settle, self._begin_again) if settle else None
        self._profile_capture: AccountedCapture[Profile] | None = None
        self._instants_capture: AccountedCapture[Instants] | None = None
        self.profile: Profile | None = None
        self.instants: Instants | None = None
        self.states: States | None = None
        self.peers: tuple[Peer, ...] | None = None
        self.losses: tuple[Loss, ...] = ()

    def __enter__(self) -> Attachment:
        seconds = max(_SHORTEST, self._seconds - EARLY)
        if self._probes.sampler is not None:
            self._probes.sampler.mark()
        if self._probes.peers is not None:
            self._probes.peers.mark()
        if self._on_cpu:
            self._profile_capture = self._probes.attach(self._name, seconds)
        if self._waits:
            self._instants_capture = self._probes.take_instants(UNTIL_STOPPED)
        if self._settled is not None:
            self._settled.daemon = True
            self._settled.start()
        return self

    def _begin_again(self) -> None:
        """The load has settled: states are counted from here, as its requests are."""
        if self._probes.sampler is not None:
            self._probes.sampler.mark()

    def tools(self) -> tuple[AttachedTool, ...]:
        """What is at work."""
        at_work: list[AttachedTool] = []
        profiler = self._probes.profiler
        if self._profile_capture is not None and profiler is not None:
            at_work.append(AttachedTool(profiler.name, RATE_HZ))
        if self._instants_capture is not None:
            at_work.append(AttachedTool(SNAPSHOTS))
        return tuple(at_work)

    def __exit__(self, *exc: object) -> None:
        self._probes.detached()
        if self._settled is not None:
            self._settled.cancel()
            self._settled.join()
        for capture in (self._profile_capture, self._instants_capture):
            if capture is not None:
                capture.stop()
        try:
            # Peers first: their last look asks where threads were seen to wait.
            self.peers = self._probes.take_peers()
            if self._probes.sampler is not None:
                self.states = self._probes.sampler.take(self._name)
        finally:
            # Reading a recording also takes away what of it is not kept.
            if self._profile_capture is not None:
                self.profile = self._probes.taken(EvidenceKind.ON_CPU, self._profile_capture)
            if self._instants_capture is not None:
                self.instants = self._probes.taken(EvidenceKind.WAITS, self._instants_capture)
            self.losses = self._probes.lost()

    def span_of(self, trial: Trial) -> Span:
        """What was captured while `trial` ran."""
        return Span.of(
            trial,
            self.profile,
            self.instants,
            self.states,
            trial.resources,
            self.peers,
            self.losses,
            self._probes.unread,
        )


class LiveProbes:
    """The probes of a live target."""

    def __init__(
        self,
        target: TargetProcess,
        directory: Path,
        clock: Callable[[], Seconds],
        policy: ProfilePolicy = ProfilePolicy.AUTO,
        opened: bool = False,
    ) -> None:
        self._target, self._directory, self._clock = target, directory, clock
        self._policy, self._opened = policy, opened
        self._monitor = ResourceMonitor(target)
        self._host = InterferenceMonitor(target.root, waited_on=self._waited_on)
        self._workers = workers_of(target)
        self._plan = AttachPlan()
        self.sampler: StateSampler | None = None
        self.peers: PeerWatch | None = None
        self._losses: list[Loss] = []
        self._attachment: Attachment | None = None

    @property
    def profiler(self) -> Profiler | None:
        """The one that samples what runs; None when there is none."""
        return self._plan.profiler

    def attached(self) -> tuple[AttachedTool, ...]:
        """What looks at the target now, resources aside."""
        watchers = ((THREAD_STATES, self.sampler), (PEERS, self.peers))
        always = (AttachedTool(name) for name, watcher in watchers if watcher is not None)
        return (*always, *(self._attachment.tools() if self._attachment is not None else ()))

    def open(self) -> None:
        """Watch resources, thread states and peers from now on. Raises AttachFailed when a required
        profiler cannot be used.
        """
        self._monitor.start()
        self._host.start()
        if self._policy is ProfilePolicy.OFF:
            return
        self.sampler = StateSampler(
            self._target.workers, self._clock, root=self._target.root
        ).__enter__()
        self.peers = PeerWatch(self._target.root, self._clock, self.sampler.waited_on)
        self.peers.open()
        with reaching(self._target.root):
            self._plan = choose(self._target, opened=self._opened)
            if self._plan.profiler is not None:
                self._plan.profiler.prepare(self._workers())
        if self._policy is ProfilePolicy.REQUIRED and self._plan.profiler is None:
            raise AttachFailed(
                "; ".join(self._plan.reasons) or "no profiler fits this target",
                "perfhunt doctor --pid PID",
            )

    def idle(self) -> Instants | None:
        """The threads of the target with no load from here; None when nothing reads them."""
        make = self._plan.looks
        if make is None:
            return None
        capture = self._result(EvidenceKind.IDLE, lambda: self._instants(IDLE, make))
        return None if capture is None else self.taken(EvidenceKind.IDLE, capture)

    def _waited_on(self) -> frozenset[str]:
        """Where the target's threads waited, and where its connections led: one that lives for
        milliseconds is met by neither for certain.
        """
        waited = self.sampler.waited_on() if self.sampler is not None else frozenset()
        return waited | self._monitor.led_to

    def resources(self) -> Resources:
        """What the target used since the last call."""
        return self._monitor.take()

    @property
    def unread(self) -> tuple[tuple[Seconds, int], ...]:
        """When the target's sockets were looked at before the last `resources`, and how many of
        them held a request that no thread had read.
        """
        return self._monitor.unread

    def interference(self) -> Interference:
        """What took the machine from the target and the generator since the last call."""
        return self._host.take()

    def during(
        self, name: str, seconds: Seconds, *, on_cpu: bool, waits: bool, settle: Seconds = 0.0
    ) -> Attachment:
        """Profilers attached for about `seconds`, once a load that is about to begin has been on
        for `settle`.
        """
        self._attachment = Attachment(
            self, name, seconds, on_cpu=on_cpu, waits=waits, settle=settle
        )
        return self._attachment

    def detached(self) -> None:
        """The last attachment is over."""
        self._attachment = None

    def dead(self) -> str:
        """Why the target can no longer be measured; "" while it lives."""
        return self._monitor.dead()

    def close(self) -> None:
        """Stop watching; idempotent."""
        self._monitor.close()
        self._host.close()
        if self.sampler is not None:
            self.sampler.close()
        if self.peers is not None:
            self.peers.close()

    def attach(self, name: str, seconds: Seconds) -> AccountedCapture[Profile] | None:
        """The plan's capture of the code that runs, started; None when there is none or it failed,
        which is a loss, or raised when it is required.
        """
        profiler, mode = self._plan.profiler, self._plan.mode
        if profiler is None:
            self._lose(EvidenceKind.ON_CPU, "; ".join(self._plan.reasons) or "no profiler fits")
            return None
        out = self._directory / name
        with reaching(self._target.root):  # and all that is started for it
            return self._result(
                EvidenceKind.ON_CPU,
                lambda: FollowingCapture(profiler, self._workers, seconds, RATE_HZ, mode, out),
            )

    def take_instants(self, seconds: Seconds) -> AccountedCapture[Instants] | None:
        """A series of instants, started; None when the plan has none, which is a loss."""
        make = self._plan.looks
        if make is None:
            why = "no tool here reads the stacks of waiting threads"
            allowed = looker_maker(self._target.runtime, opened=True) is not None
            self._lose(EvidenceKind.WAITS, why, _ALLOW if allowed else _NOT_HERE)
            return None
        return self._result(EvidenceKind.WAITS, lambda: self._instants(seconds, make))

    def take_peers(self) -> tuple[Peer, ...] | None:
        """What the target's peers did since the last call (or since `mark`); None when nobody
        looked, or could, which is a loss.
        """
        try:
            return self.peers.take() if self.peers is not None else None
        except AttachFailed as failed:
            self._lose(EvidenceKind.PEERS, failed.message.rstrip("."))
            return None

    def taken(self, what: EvidenceKind, capture: AccountedCapture[_Given]) -> _Given | None:
        """What a capture gives, with its losses noted; None when that is nothing."""
        given = self._result(what, capture.wait)
        self._losses += [replace(loss, what=what) for loss in capture.losses()]
        return given

    def lost(self) -> tuple[Loss, ...]:
        """What was looked for and not got since the last call."""
        losses, self._losses = tuple(self._losses), []
        return losses

    def _result(self, what: EvidenceKind, step: Callable[[], _Given]) -> _Given | None:
        """What a step of a capture gives; None when it failed, which is a loss of all of it, or
        raised when profiles are required.
        """
        try:
            return step()
        except AttachFailed as failed:
            self._lose(what, failed.message.rstrip("."), failed.hint)
            if self._policy is ProfilePolicy.REQUIRED:
                raise
            return None

    def _lose(self, what: EvidenceKind, why: str, then: str = _NOT_HERE) -> None:
        self._losses.append(Loss(what, 1.0, why, then))

    def _instants(self, seconds: Seconds, make: LookerMaker) -> InstantsCapture:
        workers, root = self._target.workers, self._target.root
        with reaching(root):
            return InstantsCapture(workers, seconds, self._clock, make=make, root=root)
