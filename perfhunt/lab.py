"""The bench an investigation works at: one engine, one set of probes, one run directory, and one
way to be told to stop.

State lives here and nowhere else in the story: what was tried so far, and where it is written down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from perfhunt.analysis.blame.evidence import Span
from perfhunt.analysis.blame.wall import WallProfile
from perfhunt.analysis.diagnosis.diagnosis import Diagnosis, joined
from perfhunt.analysis.diagnosis.known import answers
from perfhunt.analysis.knee.goal import SearchResult, StepOrDrain, TrialOrDrained
from perfhunt.analysis.knee.observed import bracket, lowest_baseline
from perfhunt.analysis.trial.interference import disturbance, disturbed
from perfhunt.errors import ExitCode, PerfhuntError, Stopped, StoreError, TargetDied
from perfhunt.load.seam import LoadEngine
from perfhunt.model.finding import CautionCode, ProbeEffect
from perfhunt.model.knee import NoKnee, NoKneeCode
from perfhunt.model.profile import Instants, SpanName
from perfhunt.model.question import Question
from perfhunt.model.run import (
    Began,
    Event,
    EventWatcher,
    Finished,
    Noted,
    Run,
    RunEnd,
    TargetProcess,
    Ticked,
    Tried,
    unwatched,
)
from perfhunt.model.slo import Criterion, Judged, Judgement, overall
from perfhunt.model.states import States
from perfhunt.model.trial import (
    SET_ASIDE,
    STOPPED,
    AttachedTool,
    Drain,
    Drained,
    Interference,
    Resources,
    Step,
    Trial,
)
from perfhunt.model.units import PerSecond, Seconds
from perfhunt.safety.stays import require_cleared
from perfhunt.store.rundir import RunDirectory, keep_run
from perfhunt.target.code.sources import SourceTexts, sources

KEPT = "What was measured until then is kept: perfhunt report last"
ASKED_AGAIN = 2  # times, a trial outside the search that other work disturbed


class Probes(Protocol):
    """Everything that looks at the target from outside."""

    def open(self) -> None:
        """Start watching resources; raises AttachFailed when a required profiler cannot attach."""

    def idle(self) -> Instants | None:
        """The target's threads with no load on it: what waiting for work looks like. None when that
        cannot be seen.
        """

    def resources(self) -> Resources:
        """What the target used since the last call (or since open)."""

    def interference(self) -> Interference | None:
        """What took the machine from target and generator since the last call; None when nobody
        looks.
        """

    def attached(self) -> tuple[AttachedTool, ...]:
        """What looks at the target now, resources aside, which are counted by the kernel anyhow."""

    def during(
        self, name: str, seconds: Seconds, *, on_cpu: bool, waits: bool, settle: Seconds = 0.0
    ) -> Attached:
        """Profilers attached for about `seconds`, once a load that is about to begin has been on
        for `settle`; leave the context to detach them.
        """

    def dead(self) -> str:
        """Why the target can no longer be measured, as a sentence; "" while it lives."""

    def close(self) -> None:
        """Detach everything; idempotent."""


class Attached(Protocol):
    """Profilers at work; `span_of` after leaving the context."""

    def __enter__(self) -> Attached: ...

    def __exit__(self, *exc: object) -> None: ...

    def span_of(self, trial: Trial) -> Span:
        """What was captured while `trial` ran."""


@dataclass(slots=True)
class Lab:
    """Engine, probes, notes and the stop signal, for one run. `start` is the run without its
    measurements.
    """

    engine: LoadEngine
    probes: Probes
    directory: RunDirectory
    start: Run
    clock: Callable[[], Seconds]
    stop: Callable[[], str] = lambda: ""
    watch: EventWatcher = unwatched
    trials: list[Trial] = field(default_factory=list)
    drains: list[Drained] = field(default_factory=list)
    criteria: tuple[Criterion, ...] = ()
    began: Seconds = 0.0
    spans: dict[SpanName, Span] = field(default_factory=dict)
    # Once it is kept; then nothing that fails can take it back.
    run: Run | None = None
    place: Path | None = None
    publish: Callable[[Run, Path], Run] = lambda run, _: run
    texts: SourceTexts = sources
    behind: bool = False  # whether the store has refused something that was measured

    @property
    def target(self) -> TargetProcess | None:
        return self.start.target

    def notify(self, event: Event) -> None:
        """Let the watcher know, and the run's own log."""
        self.watch(event)
        if isinstance(event, Began):
            self._note_down(lambda: self.directory.phase(event.stage))
        if isinstance(event, Began | Noted):
            name, at, sentence = type(event).__name__, self.clock() - self.began, event.sentence
            self._note_down(lambda: self.directory.event(name.lower(), at=at, sentence=sentence))

    def _note_down(self, write: Callable[[], None]) -> None:
        """Write something into the run directory. A disk that refuses ends no measurement: it is
        told once, and what was measured is written again with the whole run.
        """
        try:
            write()
        except StoreError as error:
            if not self.behind:
                self.behind = True
                told = f"{error.message}; it goes on, and is written once more at the end"
                self.watch(Noted(told))

    def open(self, question: Question) -> None:
        """Probes, then the load child: nothing is sent to the target yet."""
        self.began = self.clock()
        self.criteria = question.slo.criteria()
        self.probes.open()
        self.engine.open(question, self.criteria, self.directory.trials, self.stop)
        self.start = replace(
            self.start, environment=replace(self.start.environment, pinning=self.engine.pinning)
        )
        for told in (*self.engine.clocks, *self.engine.remarks):
            self.notify(Noted(str(told)))
        self.probes.resources()
        self.probes.interference()

    def try_step(self, step: Step) -> Trial:
        """One trial, with what the target used meanwhile; kept before anything else happens. Raises
        Stopped, TargetDied.
        """
        self._check()
        started, attached = self.clock() - self.began, self.probes.attached()
        self.probes.resources()
        self.probes.interference()
        try:
            trial = self.engine.run(step, lambda row: self.watch(Ticked(step, row)), self._stopping)
        except Stopped:
            self._check()  # What stopped it may have been the target's end.
            raise
        trial = replace(
            trial,
            resources=self.probes.resources(),
            interference=self.probes.interference() or trial.interference,
            started=started,
            attached=attached,
        )
        self.trials.append(trial)
        self._note_down(lambda: self.directory.append_trial(trial))
        self.watch(Tried(trial, *bracket(self.trials, self.criteria)))
        self._check()
        require_whole(trial)
        return trial

    def try_quiet_step(self, step: Step) -> Trial:
        """A trial that other work on the host did not decide: asked for again while it did, twice
        at most, and the last one is taken as it is.
        """
        for _ in range(ASKED_AGAIN):
            trial = self.try_step(step)
            why = disturbed(trial.interference)
            if not why or trial.invalid:
                return trial
            self.trials[-1] = replace(trial, invalid=f"{SET_ASIDE}{why}")
            self.recover()
        return self.try_step(step)

    def adopt(self, trial: Trial) -> Trial:
        """A trial of an earlier, interrupted run, as one of this one's."""
        self.trials.append(trial)
        self._note_down(lambda: self.directory.append_trial(trial))
        return trial

    def mark(self, searched: Sequence[Trial]) -> None:
        """Take over what a search made of its trials: which it set aside."""
        marked = {(trial.step, trial.started): trial.invalid for trial in searched}
        self.trials = [
            replace(t, invalid=marked.get((t.step, t.started), t.invalid)) for t in self.trials
        ]

    def ask(self, ask: StepOrDrain) -> TrialOrDrained:
        """What a search asks for: a trial, or a drain."""
        return self.drain(ask) if isinstance(ask, Drain) else self.try_step(ask)

    def drain(self, drain: Drain) -> Drained:
        """No load until the target is itself again."""
        self._check()
        drained = self.engine.drain(drain, self._stopping)
        self.drains.append(drained)
        self._note_down(lambda: self.directory.append_drain(drained))
        self._check()
        if not drained.recovered:
            how = drained.why or "the target had not recovered"
            self.notify(Noted(f"{how} {drained.seconds:.0f} s after the load came off"))
        return drained

    def recover(self) -> None:
        """A drain, if the last trial left anything behind."""
        if self.trials and self.trials[-1].overload:
            self.drain(Drain())

    def idle(self) -> Instants | None:
        """The target's threads with no load from here."""
        self._check()
        return self.probes.idle()

    def profiled(
        self, step: Step, name: SpanName, *, on_cpu: bool = False, waits: bool = False
    ) -> Span:
        """A trial with profilers attached, and what they saw."""
        seconds, settle = step.duration - step.settle, step.settle + self.start.question.think
        with self.probes.during(
            name, seconds, on_cpu=on_cpu, waits=waits, settle=settle
        ) as attached:
            trial = self.try_step(step)
        span = attached.span_of(trial).while_requests_counted(self.engine.requests_at)
        self.spans[name] = joined(self.spans.get(name), span)
        return span

    def finish(
        self,
        floor: Trial,
        climb: SearchResult,
        judged: tuple[Judged, ...],
        judged_at: PerSecond,
        effect: ProbeEffect | None,
        diagnosis: Diagnosis,
    ) -> Run:
        """The run, whole, stored."""
        so_far = self._so_far()
        doubts = answers.doubtful_answers(so_far.question.steps, self.trials)
        judged = answers.without_doubtful(judged, judged_at, doubts)
        verdict = overall(judged)
        run = replace(
            so_far,
            profiles={
                **so_far.profiles,
                **{span.waits: wall.profile for span, wall in diagnosis.walls.items()},
            },
            states=self._states(diagnosis.walls),
            verdict=verdict,
            judged=judged,
            judged_at=judged_at,
            knee=climb.knee,
            knees=climb.knees,
            capacity=climb.capacity,
            drift=climb.drift,
            disturbance=disturbance(climb.trials),
            route_knees=climb.route_knees,
            drains=climb.drains,  # the search's own, so that a replay finds what it asked for
            baseline=floor,
            bottleneck=diagnosis.bottleneck,
            findings=diagnosis.findings,
            waterfall=diagnosis.waterfall,
            probe_effect=effect,
            cautions=(*(doubt.caution for doubt in doubts), *diagnosis.cautions),
            next_step=answers.to_settle(doubts, climb.knee) or diagnosis.next_step,
            exit_code=int(_EXIT_CODES[verdict]),
        )
        return self._store(run)

    def abandon(self, error: PerfhuntError) -> None:
        """What there is, stored and marked with what ended it. The earlier runs are not touched,
        nor is this one once it is finished.
        """
        if self.run is not None:
            return
        end = RunEnd.STOPPED if isinstance(error, Stopped) else RunEnd.FAILED
        codes = {Stopped: NoKneeCode.STOPPED, TargetDied: NoKneeCode.TARGET_LOST}
        code = codes.get(type(error), NoKneeCode.FAILED)
        lost = NoKnee(code, error.message, *bracket(self.trials, self.criteria))
        run = replace(
            self._so_far(),
            ended=f"{end}: {error.message}",
            knee=lost,
            exit_code=int(error.exit_code),
            next_step=_go_on(self.start) if error.hint == KEPT else error.hint,
        )
        self._store(run)

    def close(self) -> None:
        """Load off, profilers detached; idempotent."""
        try:
            self.engine.close()
        finally:
            self.probes.close()

    def _so_far(self) -> Run:
        return replace(
            self.start,
            trials=tuple(self.trials),
            drains=tuple(self.drains),
            baseline=lowest_baseline(self.trials),
            states=self._states({}),
            peers={name: s.peers for name, s in self.spans.items() if s.peers is not None},
            profiles={
                name: span.profile for name, span in self.spans.items() if span.profile is not None
            },
            seconds=self.clock() - self.began,
        )

    def _states(self, walls: Mapping[SpanName, WallProfile]) -> dict[str, States]:
        """The states of each span, its idle threads as its wall profile tells them, where it has
        one.
        """
        states = {name: s.states for name, s in self.spans.items() if s.states is not None}
        return {
            name: replace(each, idle=walls[name].idle) if name in walls else each
            for name, each in states.items()
        }

    def _store(self, run: Run) -> Run:
        # Closed before anything is rendered: no report may cost the measurements.
        self.run, self.place = keep_run(self.directory, run)
        if self.place is not None:
            self.run = self.publish(self.run, self.place)
        for caution in self.run.cautions:
            if caution.code is CautionCode.NOT_KEPT:
                self.watch(Noted(caution.sentence))
        place = str(self.place) if self.place else "nowhere: see its cautions"
        self.watch(Finished(run.id, place, str(run.verdict), run.exit_code))
        return self.run

    def _stopping(self) -> str:
        return self.stop() or self.probes.dead()

    def _check(self) -> None:
        if reason := self.probes.dead():
            hint = "Its log and `dmesg` may say why; start it, or let it go on, then run again."
            raise TargetDied(reason, hint)
        if reason := self.stop():
            raise Stopped(reason, KEPT)


def require_whole(trial: Trial) -> None:
    """Raises Stopped for a trial whose load was ended before its time, by whomever, UnsafeTarget
    for one whose requests mostly lead elsewhere.
    """
    if trial.stopped:
        raise Stopped(trial.invalid.removeprefix(STOPPED), KEPT)
    require_cleared(trial)


def _go_on(run: Run) -> str:
    """What to do about a run that was stopped."""
    which, command = ("--pid PID ", "") if run.launched is None else ("", " -- COMMAND")
    return f"Go on with it: perfhunt investigate {which}--resume {run.id}{command}"


_EXIT_CODES = {
    Judgement.MET: ExitCode.OK,
    Judgement.MISSED: ExitCode.SLO_MISSED,
    Judgement.UNKNOWN: ExitCode.INCONCLUSIVE,
}
