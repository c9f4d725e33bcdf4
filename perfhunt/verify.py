"""STORY TWO: one change, the same question again, a verdict. Start reading at `verify_paired`.

    plan -> rounds (start both, the same slices of load to each, end both) -> look -> ... -> Verdict

`verify_rerun` asks the stored question once more of a running process; `verify_paired` starts both
versions itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from perfhunt.analysis.knee.goal import QUICK, StepOrDrain, TrialOrDrained, goal_of
from perfhunt.analysis.knee.search import drive, search
from perfhunt.analysis.verdict import calibration as analysis_of_noise
from perfhunt.analysis.verdict.calibration import Calibration
from perfhunt.analysis.verdict.endpoints import Elasticities, median_slope, read
from perfhunt.analysis.verdict.family import DEFAULT_THRESHOLDS, EffectThresholds
from perfhunt.analysis.verdict.pairs import (
    BASE,
    HEAD,
    Round,
    Slice,
    SlicePlan,
    first_of,
    paired,
    slices,
    usable,
)
from perfhunt.analysis.verdict.rerun import judge_rerun
from perfhunt.analysis.verdict.rounds import DEFAULT_ANALYSIS, AnalysisPlan, judge_rounds
from perfhunt.analysis.verdict.sequential import LOOKS, next_look
from perfhunt.errors import LoadFailed, PerfhuntError, QuestionError, Stopped
from perfhunt.load.seam import LoadEngine
from perfhunt.model.knee import Capacity, Knee, KneeLabel, NoKnee
from perfhunt.model.question import ProcessSelector, Question
from perfhunt.model.run import Began, EventWatcher, Noted, Run, Tried, unwatched
from perfhunt.model.trial import Drain, Phase, Resources, Step, Trial
from perfhunt.model.units import Seconds, format_duration
from perfhunt.model.verdict.verdict import Verdict, Word
from perfhunt.target import launch as launching
from perfhunt.target.find import find_target
from perfhunt.target.launch import ServiceCommand
from perfhunt.target.resources.monitor import ResourceMonitor

SATURATE = 1.35  # times the capacity: enough to saturate a build that is 30 % faster
ABOVE_KNEE = 1.5  # times the knee, when no capacity was measured
USUAL_SHARPNESS = 10.0  # of knees that are neither soft nor cliffs, when the baseline did not say
FLOOR: Seconds = 6.0
BUDGET: Seconds = 840.0  # pays for every look at 40 s a round
CALIBRATION_ROUNDS = 8
BETWEEN = Drain(cap=20.0)


class StartedVersion(Protocol):
    """One started version: where it listens, and what it uses."""

    @property
    def url(self) -> str: ...

    def ready(self, stop: Callable[[], str]) -> None:
        """Wait until it takes requests. Raises UsageError when it does not come up, Stopped when
        told to.
        """

    def resources(self) -> Resources | None:
        """What its processes used since the last call; None when that cannot be read. Raises
        TargetDied when it ended.
        """


class Starter(Protocol):
    """Starts and ends versions. A slot (0 or 1) keeps its port, so that an engine can stay open
    across restarts.
    """

    def start(self, version: str, slot: int) -> StartedVersion:
        """Begin to start a version ("base" or "head") on the slot's port; returns at once."""

    def end(self, live: StartedVersion) -> None:
        """End it and everything it started. Idempotent."""


@dataclass(frozen=True, slots=True)
class PairedQuestion:
    """What a paired comparison asks: the question, the load of a round, how readings become speed,
    and the frozen limit.
    """

    question: Question
    plan: SlicePlan
    slopes: Elasticities
    criterion: str


@dataclass(slots=True)
class PairBench:
    """The bench of a paired comparison: one engine per slot, opened once, and one way to be told to
    stop.

    `engine` makes an engine that is not open yet. `clock` gives monotonic seconds; `directory`
    takes the raw samples. `together`: both versions live through a round side by side and take
    turns, which cancels drift and restarts both in the time of one; without it (they would not fit,
    or share a file) one lives after the other, in ABBA order. `rounds` gathers the rounds; filled
    with those of an earlier comparison, that one goes on and no error rate is spent twice.
    """

    starter: Starter
    engine: Callable[[], LoadEngine]
    clock: Callable[[], Seconds]
    directory: Path
    stop: Callable[[], str] = lambda: ""
    watch: EventWatcher = unwatched
    together: bool = True
    rounds: list[Round] = field(default_factory=list)
    engines: dict[str, LoadEngine] = field(default_factory=dict)

    def at(self, asked: PairedQuestion, url: str) -> LoadEngine:
        """The engine that sends the question's traffic to `url`."""
        if url not in self.engines:
            question = replace(asked.question, target=replace(asked.question.target, url=url))
            engine = self.engine()
            engine.open(
                question, question.slo.criteria(), self.directory / f"slot-{len(self.engines)}"
            )
            self.engines[url] = engine
        return self.engines[url]

    def check(self) -> None:
        """Raises Stopped when told to stop."""
        if why := self.stop():
            raise Stopped(why)

    def close(self) -> None:
        """Close every engine; idempotent."""
        engines, self.engines = list(self.engines.values()), {}
        for engine in engines:
            engine.close()


class CommandStarter:
    """Starts versions by their commands, each slot on a port of its own; logs go to `directory`."""

    def __init__(self, commands: Mapping[str, ServiceCommand], directory: Path) -> None:
        """`commands` has an entry for "base" and one for "head"; the same one twice calibrates."""
        self._commands, self._directory = commands, directory
        self._ports = (launching.free_port(), launching.free_port())

    def prepare(self) -> None:
        """Each version's prepare command, once. Raises UsageError."""
        unlike = {(c.directory, c.prepare): c for c in self._commands.values()}
        for command in unlike.values():
            launching.prepare(command)

    def start(self, version: str, slot: int) -> StartedCommand:
        command = self._commands[version]
        log = self._directory / f"{version}-{slot}.log"
        return StartedCommand(launching.launch(command, self._ports[slot], log))

    def end(self, live: StartedVersion) -> None:
        if isinstance(live, StartedCommand):
            live.close()


class StartedCommand:
    """A version that runs: watched from the moment it listens."""

    def __init__(self, service: launching.Launched) -> None:
        self._service = service
        self._monitor: ResourceMonitor | None = None

    @property
    def url(self) -> str:
        return self._service.url

    @property
    def pid(self) -> int:
        return self._service.pid

    def ready(self, stop: Callable[[], str]) -> None:
        launching.await_ready(self._service, stop=stop)
        self._monitor = ResourceMonitor(find_target(ProcessSelector(pid=self.pid), self.url))
        self._monitor.start()

    def resources(self) -> Resources | None:
        launching.check_alive(self._service)
        return self._monitor.take() if self._monitor else None

    def close(self) -> None:
        """Stop watching it and end it."""
        if self._monitor is not None:
            self._monitor.close()
        launching.end(self._service)


def verify_rerun(
    stored: Run,
    investigate: Callable[[Question], Run],
    calibration: Calibration | None = None,
    explained: frozenset[str] = frozenset(),
    thresholds: EffectThresholds = DEFAULT_THRESHOLDS,
) -> tuple[Verdict, Run]:
    """The stored question asked once more, and the verdict with the noise between starts in every
    interval.

    `explained` names what of the environment the change accounts for (`distributions` for a
    dependency).
    """
    new = investigate(stored.question)
    return judge_rerun(stored, new, calibration, explained, thresholds), new


def asked_of(stored: Run) -> PairedQuestion:
    """The paired question that a stored run of the base version leads to: its knee, limit and
    slopes, frozen.

    Raises QuestionError when the run found no rate to compare at.
    """
    return _asked(stored.question, _counted(stored), stored.capacity, stored.trials)


def _counted(stored: Run) -> Knee | NoKnee:
    """The first knee that requests are counted by: rounds are too short to see where CPU or memory
    is used up.
    """
    if not isinstance(stored.knee, Knee) or stored.knee.label != KneeLabel.RESOURCE:
        return stored.knee
    counted = [k for k in stored.knees if isinstance(k, Knee) and k.label != KneeLabel.RESOURCE]
    return min(counted, key=lambda k: k.rate, default=stored.knee)


def survey(question: Question, bench: PairBench) -> PairedQuestion:
    """The paired question when nothing is stored: the base version started once, and its knee found
    in about a minute.

    Raises QuestionError when it finds no rate to compare at, LoadFailed when the generator fails.
    The bench stays open.
    """
    bench.watch(Began("survey", "looking for the base version's knee", QUICK))
    base = bench.starter.start(BASE, 0)
    try:
        base.ready(bench.stop)
        goal = goal_of(question, quick=True)
        asked = PairedQuestion(
            question, SlicePlan(goal.start, goal.start, question.seed), Elasticities(), ""
        )

        def ask(each: StepOrDrain) -> TrialOrDrained:
            if isinstance(each, Drain):
                return bench.at(asked, base.url).drain(each, bench.stop)
            return _try(each, base, asked, bench)

        floor = _try(
            Step(Phase.BASELINE, goal.start, FLOOR, question.seed, 1.0, arrivals=goal.arrivals),
            base,
            asked,
            bench,
        )
        if floor.invalid:
            raise LoadFailed(
                f"the base version could not be measured at {goal.start:g}/s: {floor.invalid}"
            )
        climb = drive(search(goal, floor), ask)
    finally:
        bench.starter.end(base)
    return _asked(question, climb.knee, climb.capacity, climb.trials)


def _asked(
    question: Question, knee: Knee | NoKnee, capacity: Capacity | None, trials: Sequence[Trial]
) -> PairedQuestion:
    rate = knee.rate if isinstance(knee, Knee) else knee.low
    if not rate:
        reason = knee.reason if isinstance(knee, NoKnee) else ""
        raise QuestionError(
            f"the base version has no knee to compare at: {reason}",
            "Look first: perfhunt investigate",
        )
    most = question.safety.max_rate
    saturating = SATURATE * capacity.rate if capacity else ABOVE_KNEE * rate
    fitted = isinstance(knee, Knee) and knee.label in (
        "sharp",
        "soft",
    )  # a bracket's slope is a guess from two rates
    sharpness = (
        knee.sharpness if isinstance(knee, Knee) and fitted and knee.sharpness else USUAL_SHARPNESS
    )
    slopes = Elasticities(max(sharpness, 1.0), median_slope(trials, rate) or 1.0)
    criteria = question.slo.criteria()
    counted = knee.criterion if isinstance(knee, Knee) and knee.label != KneeLabel.RESOURCE else ""
    name = counted or (criteria[0].name if criteria else "")
    plan = SlicePlan(
        min(rate, most / 1.1), min(saturating, most), question.seed, arrivals=question.ramp.arrivals
    )
    return PairedQuestion(question, plan, slopes, name)


def verify_paired(
    asked: PairedQuestion,
    bench: PairBench,
    budget: Seconds = BUDGET,
    analysis: AnalysisPlan = DEFAULT_ANALYSIS,
) -> Verdict:
    """The verdict of base against head, restarted side by side round after round until a look
    decides or time is up.

    Looks come after the numbers of rounds fixed in `sequential.LOOKS`; no new stretch begins that
    the budget cannot pay for. Raises Stopped, TargetDied, LoadFailed; both versions are ended
    whatever happens.
    """
    rounds, began = bench.rounds, bench.clock()
    try:
        while True:
            rounds.append(run_round(len(rounds), asked, bench))
            n = len(usable(rounds))
            hopeless = len(rounds) - n >= LOOKS[0]
            if not hopeless and (rounds[-1].invalid or n not in LOOKS):
                continue
            last = hopeless or not _affordable(rounds, bench.clock() - began, budget)
            verdict = judge_rounds(rounds, analysis, final=last)
            bench.watch(Noted(f"after {n} rounds: {verdict.word}, {verdict.reason}"))
            if last or verdict.word is not Word.INCONCLUSIVE:
                return replace(verdict, next_step=_next_step(verdict))
    finally:
        bench.close()


def calibrate(
    asked: PairedQuestion, bench: PairBench, rounds: int = CALIBRATION_ROUNDS
) -> Calibration:
    """This host's noise, from rounds in which both versions are the same build (the starter's base
    and head alike).
    """
    try:
        done = [run_round(number, asked, bench) for number in range(rounds)]
    finally:
        bench.close()
    try:
        return analysis_of_noise.calibrate(done)
    except ValueError as error:
        reasons = sorted({r.invalid for r in done if r.invalid})
        raise PerfhuntError(
            f"{error}: {'; '.join(reasons)}", "perfhunt doctor names what disturbs this host"
        ) from error


def run_round(number: int, asked: PairedQuestion, bench: PairBench) -> Round:
    """One life of each version: both started, the same slices sent to each in mirrored order, both
    ended.
    """
    began = bench.clock()
    bench.watch(Began("round", f"round {number + 1}: both versions restarted", asked.plan.load))
    planned = slices(asked.plan, number)
    trials: dict[str, list[Trial]] = {BASE: [], HEAD: []}
    slots = {BASE: number % 2, HEAD: 1 - number % 2}  # ports and engines change sides each round
    if bench.together:
        _live_through(planned, slots, trials, asked, bench)
    else:
        for version in (
            first_of(number, asked.plan.seed),
            _other(first_of(number, asked.plan.seed)),
        ):
            _live_through(
                [s for s in planned if s.version == version],
                {version: slots[version]},
                trials,
                asked,
                bench,
            )
    seconds = bench.clock() - began
    before, after = (read(trials[version], asked.criterion) for version in (BASE, HEAD))
    done = paired(
        number, before, after, asked.slopes, seconds, _invalid([*trials[BASE], *trials[HEAD]])
    )
    bench.watch(Noted(_told(done)))
    return done


def _live_through(
    planned: Sequence[Slice],
    slots: Mapping[str, int],
    trials: Mapping[str, list[Trial]],
    asked: PairedQuestion,
    bench: PairBench,
) -> None:
    """Start the versions, send each its slices in order, end them whatever happens; trials are
    added per version.
    """
    bench.check()
    started: dict[str, StartedVersion] = {}
    try:
        for version, slot in slots.items():
            started[version] = bench.starter.start(version, slot)
        for live in started.values():
            live.ready(bench.stop)
        for i, each in enumerate(planned):
            trial = _try(each.step, started[each.version], asked, bench)
            trials[each.version].append(trial)
            if _leaves_a_queue(trial) and i + 1 < len(
                planned
            ):  # what is left after the last one dies with its process
                bench.at(asked, started[each.version].url).drain(BETWEEN, bench.stop)
    finally:
        for live in started.values():
            bench.starter.end(live)


def _other(version: str) -> str:
    return HEAD if version == BASE else BASE


def _try(step: Step, live: StartedVersion, asked: PairedQuestion, bench: PairBench) -> Trial:
    """One slice, with what the version used meanwhile."""
    bench.check()
    engine = bench.at(asked, live.url)
    live.resources()
    trial = engine.run(step, None, bench.stop)
    trial = replace(trial, resources=live.resources())
    bench.watch(Tried(trial))
    bench.check()
    return trial


def _leaves_a_queue(trial: Trial) -> bool:
    return bool(trial.overload) or trial.step.phase is Phase.CAPACITY


def _invalid(trials: Sequence[Trial]) -> str:
    """Why a round does not count. A burst is late on purpose, and a warm-up is not read."""
    return next((t.invalid for t in trials if t.invalid and t.step.phase is Phase.FIXED), "")


def _affordable(rounds: Sequence[Round], spent: Seconds, budget: Seconds) -> bool:
    n = len(usable(rounds))
    following = next_look(n)
    each = sum(r.seconds for r in rounds) / len(rounds)
    return following is not None and spent + (following - n) * each <= budget


def _told(done: Round) -> str:
    if done.invalid:
        return f"round {done.number + 1} does not count: {done.invalid}"
    parts = ", ".join(f"{name} {100 * change:+.1f} %" for name, change in done.speed.items())
    return f"round {done.number + 1} in {format_duration(done.seconds)}, as speed: {parts}"


def _next_step(verdict: Verdict) -> str:
    if verdict.word in (Word.REVERT, Word.NO_CHANGE, Word.NOT_WORTH_IT):
        return "take the change out again (verify --revert does it)"
    if verdict.word is Word.INCONCLUSIVE and verdict.to_resolve:
        return f"measure longer: --budget {format_duration(verdict.seconds + verdict.to_resolve)}"
    return ""
