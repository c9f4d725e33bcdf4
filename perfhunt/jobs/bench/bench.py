"""A bench: versions checked out, runs interleaved, times kept, a verdict where there is something
to compare with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from perfhunt.analysis.change.one_change import require_one
from perfhunt.analysis.verdict.bench import judge_commands
from perfhunt.change.git.repository import find_repository
from perfhunt.change.git.worktree import checkout
from perfhunt.change.read import read_change
from perfhunt.errors import ExitCode, StoreError, UsageError
from perfhunt.jobs.bench.hyperfine import hyperfine_once
from perfhunt.model import redact
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.run import EventWatcher, Noted, unwatched
from perfhunt.model.units import Seconds, format_duration
from perfhunt.model.verdict.change import OneChange
from perfhunt.model.verdict.command_run import CommandRun, CommandRuns
from perfhunt.model.verdict.verdict import Verdict
from perfhunt.reports import hyperfine
from perfhunt.store.files import read_text, write_atomic
from perfhunt.target.command_timer import Command, time_command
from perfhunt.target.launch import run_aside

# Times one run of a command, ended when it takes longer than the limit.
CommandTimer = Callable[[Command, Seconds | None], CommandRun]
TIMERS: Mapping[str, CommandTimer] = {"perfhunt": time_command, "hyperfine": hyperfine_once}


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """A command to time; with `base`, two versions from git; with `compare`, an earlier export.

    `timeout` ends one run that takes longer; `timer` is a name in `TIMERS`. `cleanup` is run after
    each run; with `ignore_failure` a run counts whatever its exit code is.
    """

    words: tuple[str, ...]
    base: str = ""
    head: str = ""
    compare: Path | None = None
    runs: int = 10
    warmup: int = 1
    prepare: tuple[str, ...] = ()
    cleanup: tuple[str, ...] = ()
    ignore_failure: bool = False
    export: Path | None = None
    timer: str = "perfhunt"
    timeout: Seconds | None = None
    compound: str = ""
    trust_repository: bool = False


@dataclass(frozen=True, slots=True)
class BenchResult:
    """The times, in the order before, after; and the verdict when two were compared. `unkept` says
    why an export that was asked for is not there.
    """

    timed: tuple[CommandRuns, ...]
    verdict: Verdict | None = None
    change: OneChange | None = None
    unkept: str = ""

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
    check(request)
    older = _exported(request.compare) if request.compare is not None else None
    change = _one_change(request) if request.base else None
    with commands_of(request, watch) as commands:
        timed = measure(commands, request, watch)
    unkept = _exported_to(request.export, timed) if request.export is not None else ""
    if older is not None:
        timed = (older, *timed)
    if len(timed) == 1:
        return BenchResult(timed, unkept=unkept)
    verdict = judge_commands(timed[0], timed[1], interleaved=older is None)
    cautions = tuple(_advised(caution, request) for caution in verdict.cautions)
    return BenchResult(timed, replace(verdict, cautions=cautions), change, unkept)


def _exported_to(path: Path, timed: tuple[CommandRuns, ...]) -> str:
    """Why the times could not be exported, "" when they were. They are told either way."""
    try:
        write_atomic(path, hyperfine.write(timed))
    except StoreError as error:
        return error.message
    return ""


def check(request: BenchRequest) -> None:
    """Raises UsageError when the request makes no sense."""
    if not request.words:
        raise UsageError(
            "bench times a command",
            "perfhunt bench -- COMMAND, or: perfhunt bench --base REV -- COMMAND",
        )
    if request.timer not in TIMERS:
        raise UsageError(f"--engine {request.timer} is not one of {', '.join(TIMERS)}")
    if request.base and request.compare is not None:
        raise UsageError("--base and --compare both name what to compare with", "Give one of them.")
    if request.head and not request.base:
        raise UsageError(
            "--head needs a --base to compare with",
            f"perfhunt bench --base HEAD~1 --head {request.head} -- COMMAND",
        )


def _one_change(request: BenchRequest) -> OneChange:
    repository = find_repository(Path.cwd(), request.trust_repository)
    change = read_change(repository, request.base, request.head)
    return require_one(change, None, request.compound)


def _advised(caution: Caution, request: BenchRequest) -> Caution:
    """A caution whose advice is not what was done already."""
    if caution.code != CautionCode.COLD_START:
        return caution
    return replace(caution, next=f"add --warmup {request.warmup + 2}")


@contextmanager
def commands_of(
    request: BenchRequest, watch: EventWatcher = unwatched
) -> Iterator[tuple[Command, ...]]:
    """The command, once in place; or once in a checkout of each version, in the directory it was
    typed in.
    """
    text = " ".join(redact.command(request.words, request.words[0]))
    if not request.base:
        # hyperfine's prepare: before each run, and not timed.
        yield (Command(name=text, words=request.words, prepare=request.prepare),)
        return
    repository = find_repository(Path.cwd(), request.trust_repository)

    def say(sentence: str) -> None:
        watch(Noted(sentence))

    here = repository.inside(Path.cwd())
    versions = (request.base, request.base), (request.head or "working tree", request.head)
    with ExitStack() as held:
        commands = []
        for name, revision in versions:
            place = held.enter_context(checkout(repository, revision, request.prepare, say=say))
            commands.append(
                Command(name=f"{text} @ {name}", words=request.words, directory=place / here)
            )
        yield tuple(commands)


def measure(
    commands: Sequence[Command], request: BenchRequest, watch: EventWatcher = unwatched
) -> tuple[CommandRuns, ...]:
    """Every run of every command, warm-ups first, the order mirrored from round to round (ABBA)."""
    timer = TIMERS[request.timer]

    def time_once(command: Command, timeout: Seconds | None) -> CommandRun:
        run = timer(command, timeout)
        run_aside("cleanup", command.name, request.cleanup, command.directory)
        return replace(run, exit_code=0) if request.ignore_failure else run

    for _ in range(request.warmup):
        for command in commands:
            time_once(command, request.timeout)
    runs: list[list[CommandRun]] = [[] for _ in commands]
    for number in range(request.runs):
        order = range(len(commands)) if number % 2 == 0 else reversed(range(len(commands)))
        for version in order:
            run = time_once(commands[version], request.timeout)
            runs[version].append(run)
            watch(Noted(_run_sentence(number, request.runs, run, commands[version].name)))
    return tuple(
        CommandRuns(command.name, tuple(each)) for command, each in zip(commands, runs, strict=True)
    )


_SHOWN = 120  # characters of what a run that failed printed last


def _run_sentence(number: int, of: int, run: CommandRun, name: str) -> str:
    failed = f", exit code {run.exit_code}" if run.exit_code else ""
    failed += f" ({run.said[:_SHOWN]})" if run.said else ""
    return f"{number + 1}/{of} {format_duration(run.wall)}{failed}  {name}"


def _exported(path: Path) -> CommandRuns:
    """The one command of an export. Raises StoreError."""
    exported = hyperfine.read(read_text(path), str(path))
    if len(exported) != 1:
        names = ", ".join(timed.name for timed in exported)
        raise StoreError(
            f"{path} holds {len(exported)} commands ({names}), and one is to be compared with",
            "Export one command.",
        )
    return exported[0]
