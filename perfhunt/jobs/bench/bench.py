"""A bench: versions checked out, runs interleaved, times kept, a verdict where there is something
to compare with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from perfhunt.analysis.change.one_change import require_one
from perfhunt.analysis.verdict.bench import judge_commands, timing_cautions
from perfhunt.change.git.repository import find_repository
from perfhunt.change.read import read_change
from perfhunt.errors import ExitCode, StoreError, UsageError
from perfhunt.jobs.bench.doubts import advised, doubts
from perfhunt.jobs.bench.measuring import TIMERS, commands_of, measure
from perfhunt.jobs.bench.parameters import BenchParameters, told
from perfhunt.jobs.bench.request import BenchRequest, check
from perfhunt.model.finding import Caution
from perfhunt.model.run import EventWatcher, unwatched
from perfhunt.model.verdict.change import OneChange
from perfhunt.model.verdict.command_run import CommandRuns
from perfhunt.model.verdict.verdict import Verdict
from perfhunt.reports import hyperfine
from perfhunt.store.files import read_text, write_atomic

# Which of several exit codes stands for all: slower in one of them is slower.
_WORST_FIRST = (ExitCode.REGRESSION, ExitCode.INCONCLUSIVE, ExitCode.OK)


@dataclass(frozen=True, slots=True)
class BenchResult:
    """The times of each command, or of each combination of parameters; where versions are compared
    two for each, in the order before, after, and as many verdicts as pairs.

    `cautions` are those that are in no verdict. `unkept` says why an export that was asked for is
    not there.
    """

    timed: tuple[CommandRuns, ...]
    verdicts: tuple[Verdict, ...] = ()
    change: OneChange | None = None
    cautions: tuple[Caution, ...] = ()
    unkept: str = ""

    @property
    def verdict(self) -> Verdict | None:
        """The one that the exit code is of: the first of the worst; None without any."""
        return min(self.verdicts, key=lambda each: _WORST_FIRST.index(each.exit_code), default=None)

    @property
    def exit_code(self) -> ExitCode:
        """The verdict's; without one, 91 when a run failed."""
        if self.verdict is not None:
            return self.verdict.exit_code
        failed = any(run.exit_code for timed in self.timed for run in timed.runs)
        return ExitCode.INCONCLUSIVE if failed else ExitCode.OK


def run_bench(request: BenchRequest, watch: EventWatcher = unwatched) -> BenchResult:
    """The times of the command, judged when there is something to judge them against.

    Raises UsageError, StoreError (an export that cannot be read), ChangeRefused (exit 92).
    """
    parameters = check(request)
    if request.timer not in TIMERS:
        raise UsageError(
            f"--engine {request.timer} is not one of {', '.join(TIMERS)}", "Leave it out."
        )
    older = _exported(request.compare, parameters) if request.compare is not None else ()
    change = _one_change(request) if request.base else None
    with commands_of(request, parameters, watch) as commands:
        timed = measure(commands, request, watch)
        cautions = doubts(
            commands, timed, request, lambda once: TIMERS[request.timer](once, request.timeout)
        )
    unkept = _exported_to(request.export, timed) if request.export is not None else ""
    if older:
        timed = tuple(each for pair in zip(older, timed, strict=True) for each in pair)
    compared = bool(older or request.base)
    if not compared:
        cautions += tuple(advised(c, request) for each in timed for c in timing_cautions(each))
    return BenchResult(
        timed=timed,
        verdicts=_verdicts(timed, request) if compared else (),
        change=change,
        cautions=cautions,
        unkept=unkept,
    )


def _verdicts(timed: Sequence[CommandRuns], request: BenchRequest) -> tuple[Verdict, ...]:
    pairs = list(zip(timed[::2], timed[1::2], strict=True))
    verdicts = [
        judge_commands(before, after, interleaved=request.compare is None, of=len(pairs))
        for before, after in pairs
    ]
    return tuple(
        replace(verdict, cautions=tuple(advised(each, request) for each in verdict.cautions))
        for verdict in verdicts
    )


def _exported_to(path: Path, timed: tuple[CommandRuns, ...]) -> str:
    """Why the times could not be exported, "" when they were. They are told either way."""
    try:
        write_atomic(path, hyperfine.write(timed))
    except StoreError as error:
        return error.message
    return ""


def _one_change(request: BenchRequest) -> OneChange:
    repository = find_repository(Path.cwd(), request.trust_repository)
    change = read_change(repository, request.base, request.head)
    return require_one(change, None, request.compound)


def _exported(path: Path, parameters: Sequence[BenchParameters]) -> tuple[CommandRuns, ...]:
    """What an export holds of each combination; without parameters its one command. Raises
    StoreError.
    """
    exported = hyperfine.read(read_text(path), str(path))
    if parameters == ((),):
        if len(exported) != 1:
            names = ", ".join(timed.name for timed in exported)
            raise StoreError(
                f"{path} holds {len(exported)} commands ({names}), and one is to be compared with",
                "Export one command.",
            )
        return exported
    by_parameters = {tuple(sorted(timed.parameters)): timed for timed in exported}
    for values in parameters:
        if tuple(sorted(values)) not in by_parameters:
            raise StoreError(
                f"{path} holds no times of{told(values)}",
                "Export them with the same --parameter.",
            )
    return tuple(by_parameters[tuple(sorted(values))] for values in parameters)
