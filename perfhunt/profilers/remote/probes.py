"""The probes of a target that is looked at where it lives: what `profilers.probes` has for one of
this host, as far as no tool is needed there.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress

from perfhunt.analysis.blame.evidence import Span
from perfhunt.errors import AttachFailed
from perfhunt.model.profile import (
    EvidenceKind,
    Instants,
    Loss,
    Profile,
    ProfileMode,
    ProfilePolicy,
    Stack,
)
from perfhunt.model.run import TargetProcess
from perfhunt.model.states import Peer, States, ThreadState
from perfhunt.model.trial import AttachedTool, Interference, Resources, Trial
from perfhunt.model.units import Seconds
from perfhunt.profilers.probes import IDLE, PEERS, SNAPSHOTS, THREAD_STATES
from perfhunt.profilers.remote.link import FarHost
from perfhunt.profilers.remote.messages import FarTarget, unpacked
from perfhunt.target.host.interference import InterferenceMonitor
from perfhunt.version import __version__

_DEAD_EVERY: Seconds = 1.0  # between questions whether it lives: each goes through the line
_NOTE = "on-CPU stacks are those of looks that met a thread at work: no profiler is needed there"


def on_cpu_of(series: Instants) -> Profile:
    """The stacks that ran, of a series of looks at all threads."""
    ran: Counter[Stack] = Counter(
        sample.stack
        for instant in series
        for sample in instant.threads
        if sample.state == ThreadState.ON_CPU and sample.stack and not sample.task
    )
    return Profile(
        tool="looks",
        version=__version__,
        mode=ProfileMode.CPU,
        rate_hz=len(series) / series.seconds if series.seconds else 0.0,
        seconds=series.seconds,
        stacks=dict(ran),
        pids=tuple(sorted({s.pid for instant in series for s in instant.threads})),
        ticks=len(series),
        notes=(_NOTE,),
    )


class FarAttachment:
    """As `probes.Attachment`."""

    def __init__(
        self, probes: FarProbes, name: str, *, on_cpu: bool, waits: bool, settle: Seconds
    ) -> None:
        self._probes, self._name, self._on_cpu, self._waits = probes, name, on_cpu, waits
        self._settled = threading.Timer(settle, self._begin_again) if settle else None
        self.profile: Profile | None = None
        self.instants: Instants | None = None
        self.states: States | None = None
        self.peers: tuple[Peer, ...] | None = None
        self.losses: tuple[Loss, ...] = ()

    def __enter__(self) -> FarAttachment:
        self._probes.far.begin(waits=self._on_cpu or self._waits)
        if self._settled is not None:
            self._settled.daemon = True
            self._settled.start()
        return self

    def _begin_again(self) -> None:
        with suppress(AttachFailed):  # The end of the span says so too.
            self._probes.far.settled()

    def __exit__(self, *exc: object) -> None:
        self._probes.detached()
        if self._settled is not None:
            self._settled.cancel()
            self._settled.join()
        try:
            taken = self._probes.far.end(self._name)
        except AttachFailed as failed:
            kinds = (EvidenceKind.ON_CPU, EvidenceKind.WAITS)
            why = failed.message.rstrip(".")
            self.losses = tuple(Loss(kind, 1.0, why, failed.hint) for kind in kinds)
            return
        self.states, self.peers, self.losses = taken.states, taken.peers, taken.losses
        if taken.instants is None:
            return
        series = unpacked(taken.instants, self._probes.later)
        if self._waits:
            self.instants = series
        if self._on_cpu:
            self.profile = on_cpu_of(series)

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


class FarProbes:
    """The probes of one target behind a `FarHost`, which they close."""

    def __init__(self, far: FarHost, target: FarTarget, policy: ProfilePolicy) -> None:
        self.far, self._policy = far, policy
        self._target: TargetProcess = target.target
        self.later = time.monotonic() - target.now  # what our clock shows more than theirs
        self.unread: tuple[tuple[Seconds, int], ...] = ()
        self._host = InterferenceMonitor(0)
        self._attached: FarAttachment | None = None
        self._dead, self._asked = "", float("-inf")

    def open(self) -> None:
        """Watch it from now on. Raises AttachFailed where stacks are required and not to be had."""
        looked_at = self._target.runtime == "cpython"
        if self._policy is ProfilePolicy.REQUIRED and not looked_at:
            raise AttachFailed(
                f"the stacks of {self._target.runtime or 'this runtime'} are read by tools, which"
                f" are not behind {self.far.prefix}",
                "Run perfhunt itself on that host.",
            )
        self.far.open()
        self._host.start()

    def idle(self) -> Instants | None:
        """The threads of the target with no load from here."""
        with self.during("idle", IDLE, on_cpu=False, waits=True) as attached:
            time.sleep(IDLE)
        return attached.instants

    def resources(self) -> Resources:
        """What the target used since the last call."""
        used = self.far.resources()
        self.unread = tuple((at + self.later, count) for at, count in used.unread)
        return used.resources

    def interference(self) -> Interference:
        """What took this machine from the generator since the last call: of theirs nobody asks."""
        return self._host.take()

    def attached(self) -> tuple[AttachedTool, ...]:
        """What looks at the target now."""
        always = (AttachedTool(THREAD_STATES), AttachedTool(PEERS))
        return (*always, AttachedTool(SNAPSHOTS)) if self._attached is not None else always

    def during(
        self, name: str, seconds: Seconds, *, on_cpu: bool, waits: bool, settle: Seconds = 0.0
    ) -> FarAttachment:
        """All its threads looked at until the context is left."""
        del seconds
        self._attached = FarAttachment(self, name, on_cpu=on_cpu, waits=waits, settle=settle)
        return self._attached

    def detached(self) -> None:
        """The last attachment is over."""
        self._attached = None

    def dead(self) -> str:
        """Why the target can no longer be measured; "" while it lives."""
        if not self._dead and time.monotonic() - self._asked > _DEAD_EVERY:
            self._asked = time.monotonic()
            try:
                self._dead = self.far.dead()
            except AttachFailed as failed:
                self._dead = failed.message
        return self._dead

    def sources(self, target: TargetProcess, files: Collection[str]) -> Mapping[str, str]:
        """The texts of the target's own files; none once nobody answers there."""
        del target
        try:
            return self.far.sources(files)
        except AttachFailed:
            return {}

    def close(self) -> None:
        """Stop watching; idempotent."""
        self._host.close()
        self.far.close()
