"""Everything that looks at a live target during a run, as one thing: resources always, profilers
when asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from perfhunt.analysis.blame.evidence import Span
from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Instants, Profile
from perfhunt.model.run import TargetProcess
from perfhunt.model.states import States
from perfhunt.model.trial import Resources, Trial
from perfhunt.model.units import Seconds
from perfhunt.profilers.choose import AttachPlan, choose, mode_now
from perfhunt.profilers.profiler import PROFILERS, Capture
from perfhunt.profilers.py_spy.instants import InstantsCapture
from perfhunt.profilers.state_sampler import StateSampler
from perfhunt.target.proc.proc import tids
from perfhunt.target.resources import ResourceMonitor

IDLE: Seconds = 1.5
EARLY: Seconds = (
    0.5  # captures end this long before the load does, so that no sample is of the silence after it
)


@dataclass(frozen=True, slots=True)
class Captured:
    """What one attachment gave; every piece may be missing."""

    profile: Profile | None = None
    instants: Instants | None = None
    states: States | None = None


class Attachment:
    """Profilers attached to the target for one span; leaving the context detaches them, whatever
    happened.
    """

    def __init__(
        self, probes: LiveProbes, name: str, seconds: Seconds, on_cpu: bool, waits: bool
    ) -> None:
        self._probes, self._name, self._seconds = probes, name, seconds
        self._on_cpu, self._waits = on_cpu, waits
        self._captures: list[Capture] = []
        self._instants: InstantsCapture | None = None
        self.captured = Captured()

    def __enter__(self) -> Attachment:
        seconds = max(1.0, self._seconds - EARLY)
        if self._probes.sampler is not None:
            self._probes.sampler.mark()
        if self._on_cpu:
            self._captures = self._probes.attach(self._name, seconds)
        if self._waits:
            self._instants = self._probes.take_instants(seconds)
        return self

    def __exit__(self, *exc: object) -> None:
        for capture in self._captures:
            capture.stop()
        if self._instants is not None:
            self._instants.stop()
        states = self._probes.sampler.take(self._name) if self._probes.sampler is not None else None
        self.captured = Captured(self._profile(), self._instants_taken(), states)

    def seen(self, trial: Trial) -> Span:
        """What was captured, as the span of the trial that ran meanwhile."""
        got = self.captured
        return Span.of(trial, got.profile, got.instants, got.states, trial.resources)

    def _profile(self) -> Profile | None:
        profiles = []
        for capture in self._captures:
            try:
                profiles.append(capture.wait())
            except AttachFailed as failed:
                self._probes.missed(failed)
        return max(profiles, key=lambda p: p.total, default=None)

    def _instants_taken(self) -> Instants | None:
        if self._instants is None:
            return None
        try:
            return self._instants.wait()
        except AttachFailed as failed:
            self._probes.missed(failed)
            return None


class LiveProbes:
    """The probes of a live target. `profile` is "auto" (use what works), "required" (raise
    AttachFailed), or "off".
    """

    def __init__(
        self,
        target: TargetProcess,
        directory: Path,
        clock: Callable[[], Seconds],
        profile: str = "auto",
        opened: bool = False,
    ) -> None:
        self._target, self._directory, self._clock = target, directory, clock
        self._profile, self._opened = profile, opened
        self._monitor = ResourceMonitor(target)
        self._plan: AttachPlan | None = None
        self.sampler: StateSampler | None = None
        self.failures: list[AttachFailed] = []

    def open(self) -> None:
        """Watch resources and thread states from now on. Raises AttachFailed when a required
        profiler cannot be used.
        """
        self._monitor.start()
        if self._profile == "off":
            return
        self.sampler = StateSampler(
            self._target.workers, self._clock, root=self._target.root
        ).__enter__()
        self._plan = choose(self._target, opened=self._opened)
        if self._profile == "required" and not self._plan.profilers:
            raise AttachFailed(
                "; ".join(self._plan.reasons) or "no profiler fits this target",
                "perfhunt doctor --pid PID",
            )

    def idle(self) -> Instants | None:
        """The threads of the target with no load from here; None when py-spy cannot see them."""
        if self._plan is None or not self._plan.instants:
            return None
        try:
            return InstantsCapture(
                self._target.workers, IDLE, self._clock, root=self._target.root
            ).wait()
        except AttachFailed as failed:
            self.missed(failed)
            return None

    def resources(self) -> Resources:
        """What the target used since the last call."""
        return self._monitor.take()

    def during(self, name: str, seconds: Seconds, *, on_cpu: bool, waits: bool) -> Attachment:
        """Profilers attached for about `seconds`."""
        return Attachment(self, name, seconds, on_cpu, waits)

    def dead(self) -> str:
        """Why the target can no longer be measured; "" while it lives."""
        return self._monitor.dead()

    def close(self) -> None:
        """Stop watching; idempotent."""
        self._monitor.close()
        if self.sampler is not None:
            self.sampler.close()

    def attach(self, name: str, seconds: Seconds) -> list[Capture]:
        """The on-CPU captures of the plan, started; those that fail are noted, or raised when
        required.
        """
        captures: list[Capture] = []
        for use in self._plan.profilers if self._plan else ():
            mode = mode_now(use, max((len(tids(pid)) for pid in use.pids), default=0))
            try:
                captures.append(
                    PROFILERS[use.profiler].attach(
                        use.pids, int(seconds), use.rate_hz, mode, self._directory / name
                    )
                )
            except AttachFailed as failed:
                self.missed(failed)
        return captures

    def take_instants(self, seconds: Seconds) -> InstantsCapture | None:
        """A series of instants, started; None when the plan has none."""
        if self._plan is None or not self._plan.instants:
            return None
        return InstantsCapture(self._target.workers, seconds, self._clock, root=self._target.root)

    def missed(self, failed: AttachFailed) -> None:
        """Note a capture that gave nothing; raise it when profiles are required."""
        self.failures.append(failed)
        if self._profile == "required":
            raise failed
