"""Looks from inside, once the knee is known: the service is started again under each tool, with
load at a share of the knee's rate, beside a start without any, which tells what the tool costs.

Nothing that is measured here counts for the knee, or for any other number of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, runtime_checkable

from perfhunt.analysis.diagnosis.diagnosis import Diagnosis
from perfhunt.analysis.trial.probe import probe_effect
from perfhunt.errors import PerfhuntError
from perfhunt.lab import Lab
from perfhunt.model.inside.look import InsideLook
from perfhunt.model.question import Question
from perfhunt.model.run import Began, EventWatcher, Noted, TargetProcess, unwatched
from perfhunt.model.trial import Phase, Step, Trial
from perfhunt.model.units import PerSecond, Seconds, format_rate
from perfhunt.profilers.inside.tool import InsideProfiler
from perfhunt.store.files import write_atomic
from perfhunt.stories.pair_bench import PairBench, StartedVersion

PLAIN = "without a tool"  # the name of the start that the others are compared with
# Before what counts: a fresh start has its caches to fill, and its code to load.
WARM: Seconds = 3.0
WINDOW: Seconds = 4.0  # of load, as many of them as a tool asks for, and two in any case
_LEAST_WINDOWS = 2
# At a rate so low that a window would hold fewer requests, it is longer, up to the longest.
_REQUESTS, _LONGEST = 10, 20.0
_SETTLE: Seconds = 1.0


@runtime_checkable
class LaunchedLife(StartedVersion, Protocol):
    """A life of the service, under a tool or without."""

    @property
    def target(self) -> TargetProcess:
        """What was found of it, once it is ready."""


# Looks at the service at a share of a rate; gives them, and the diagnosis with what they add.
LookInside: TypeAlias = Callable[[PerSecond, Diagnosis], tuple[tuple[InsideLook, ...], Diagnosis]]


def seen_inside(lab: Lab, rate: PerSecond, diagnosis: Diagnosis, look: LookInside) -> Diagnosis:
    """The diagnosis once the looks are taken, which are in the lab's run then. The life of the
    service that was measured ends with them.
    """
    lab.probes.close()
    looks, diagnosis = look(rate, diagnosis)
    lab.start = replace(lab.start, inside=looks)
    return diagnosis


@dataclass(frozen=True, slots=True)
class _Held:
    """The trials of one life of the service."""

    trials: tuple[Trial, ...]

    @property
    def completed(self) -> float:
        """Requests answered, those of the time that the trials settled in too."""
        return sum(trial.completed * trial.seconds for trial in self.trials)

    @property
    def seconds(self) -> Seconds:
        return sum(trial.seconds for trial in self.trials)


def look_inside(
    question: Question,
    rate: PerSecond,
    tools: Sequence[InsideProfiler],
    bench: PairBench,
    watch: EventWatcher = unwatched,
) -> tuple[InsideLook, ...]:
    """One look by each tool at its share of `rate`; what cannot be had says why. Nothing that goes
    wrong here takes anything from the run.
    """
    looks: list[InsideLook] = []
    quiet: dict[tuple[PerSecond, int], _Held] = {}
    for tool in tools:
        at = rate * tool.share
        watch(Began("inside", f"a fresh start under {tool.name}, at {format_rate(at)}"))
        try:
            looks.append(_look(question, at, tool, bench, quiet))
        except PerfhuntError as error:
            looks.append(InsideLook(tool.name, at, 0.0, missing=_why(error)))
            watch(Noted(f"{tool.name}: {looks[-1].missing}"))
    return tuple(looks)


def _why(error: PerfhuntError) -> str:
    return " ".join(filter(None, (error.message.rstrip(".") + ".", error.hint)))


def _look(
    question: Question,
    rate: PerSecond,
    tool: InsideProfiler,
    bench: PairBench,
    quiet: dict[tuple[PerSecond, int], _Held],
) -> InsideLook:
    windows = max(_LEAST_WINDOWS, tool.windows)
    alike = (rate, windows)
    if alike not in quiet:
        quiet[alike] = _life(question, rate, PLAIN, None, windows, bench)
    held = _life(question, rate, tool.name.value, tool, windows, bench)
    sight = tool.sight(held.completed, held.seconds)
    record = f"{tool.name}.json" if sight.record is not None else ""
    if sight.record is not None:
        write_atomic(bench.directory / record, sight.record)
    return InsideLook(
        tool=tool.name,
        rate=rate,
        seconds=held.seconds,
        effect=probe_effect(quiet[alike].trials, held.trials),
        lines=sight.lines,
        request=sight.request,
        missing=sight.missing,
        notes=sight.notes,
        file=f"{bench.directory.name}/{record}" if record else "",
    )


def _life(
    question: Question,
    rate: PerSecond,
    name: str,
    tool: InsideProfiler | None,
    windows: int,
    bench: PairBench,
) -> _Held:
    """A fresh start, warmed, and load in equal windows; ended with it."""
    life = bench.starter.start(name, 0)
    try:
        life.ready(bench.stop)
        assert isinstance(life, LaunchedLife)
        window = _step(question, rate)
        bench.try_step(replace(window, duration=WARM), life, question)
        if tool is not None:
            tool.begin(life.target)
        trials = []
        for _ in range(windows):
            trial = bench.try_step(window, life, question)
            trials.append(trial)
            if tool is not None:
                tool.mark()
        if tool is not None:
            tool.take()
        return _Held(tuple(trials))
    finally:
        bench.starter.end(life)


def _step(question: Question, rate: PerSecond) -> Step:
    return Step(
        phase=Phase.HOLD,
        rate=rate,
        duration=_SETTLE + max(WINDOW, min(_REQUESTS / rate, _LONGEST)),
        seed=question.seed,
        settle=_SETTLE,
        arrivals=question.ramp.arrivals,
        stop_on_overload=False,
    )
