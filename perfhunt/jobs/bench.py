"""What `perfhunt bench` does: versions checked out, runs interleaved, times kept, a verdict or a
summary.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from perfhunt.analysis.change.one_change import require_one
from perfhunt.analysis.verdict.bench import judge_commands
from perfhunt.change.git.repository import find_repository
from perfhunt.change.git.worktree import checkout
from perfhunt.change.read import read_change
from perfhunt.cli import console
from perfhunt.errors import ExitCode, StoreError, UsageError
from perfhunt.jobs.bench_hyperfine import hyperfine_once
from perfhunt.model.document.plain import to_plain
from perfhunt.model.document.writing import verdict_document
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.units import Seconds, UnitError, format_duration, parse_duration
from perfhunt.model.verdict.change import OneChange
from perfhunt.model.verdict.command_run import CommandRun, CommandRuns
from perfhunt.model.verdict.verdict import Verdict
from perfhunt.reports import hyperfine
from perfhunt.reports.verdict_text import verdict_lines
from perfhunt.store.files import read_text, write_atomic
from perfhunt.target.command_timer import Command, time_command

Once = Callable[[Command, Seconds | None], CommandRun]
ENGINES: Mapping[str, Once] = {"perfhunt": time_command, "hyperfine": hyperfine_once}


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """What the command line said about a bench."""

    words: tuple[str, ...]
    base: str = ""
    head: str = ""
    compare: Path | None = None
    runs: int = 10
    warmup: int = 1
    prepare: tuple[str, ...] = ()
    export: Path | None = None
    engine: str = "perfhunt"
    timeout: str = ""
    compound: str = ""


@dataclass(frozen=True, slots=True)
class BenchResult:
    """The times, in the order before, after; and the verdict when there was something to compare
    with.
    """

    timed: tuple[CommandRuns, ...]
    verdict: Verdict | None = None
    one: OneChange | None = None

    @property
    def exit_code(self) -> int:
        if self.verdict is not None:
            return int(self.verdict.exit_code)
        failed = any(run.exit_code for timed in self.timed for run in timed.runs)
        return int(ExitCode.INCONCLUSIVE if failed else ExitCode.OK)


def run_bench(wanted: BenchRequest, note: Callable[[str], None] = lambda _: None) -> BenchResult:
    """The times of the command, judged when there is something to judge them against.

    Raises UsageError, StoreError (an export that cannot be read), ChangeRefused (exit 92).
    """
    older = _exported(wanted.compare) if wanted.compare is not None else None
    one: OneChange | None = None
    if wanted.base:
        repository = find_repository(Path.cwd())
        one = require_one(read_change(repository, wanted.base, wanted.head), None, wanted.compound)
    with commands_of(wanted) as commands:
        timed = measure(commands, wanted, note)
    if wanted.export is not None:
        write_atomic(wanted.export, hyperfine.write(timed))
    if len(timed) == 2:
        verdict = judge_commands(timed[0], timed[1])
    elif older is not None:
        timed = (older, timed[0])
        verdict = judge_commands(older, timed[1], interleaved=False)
    else:
        return BenchResult(timed)
    cautions = tuple(_advised(caution, wanted) for caution in verdict.cautions)
    return BenchResult(
        timed,
        replace(verdict, cautions=cautions),
        one,
    )


def _advised(caution: Caution, wanted: BenchRequest) -> Caution:
    """A caution whose advice is not what was done already."""
    return (
        replace(caution, next=f"add --warmup {wanted.warmup + 2}")
        if caution.code == CautionCode.COLD_START
        else caution
    )


@contextmanager
def commands_of(wanted: BenchRequest) -> Iterator[tuple[Command, ...]]:
    """The command, once in place; or once in a checkout of each version, in the directory it was
    typed in.
    """
    text = " ".join(wanted.words)
    if not wanted.base:
        # hyperfine's prepare: before each run, and not timed.
        yield (Command(text, wanted.words, prepare=wanted.prepare),)
        return
    repository = find_repository(Path.cwd())
    here = Path.cwd().resolve().relative_to(repository.root.resolve())
    with ExitStack() as held:
        places = [
            held.enter_context(checkout(repository, rev, wanted.prepare))
            for rev in (wanted.base, wanted.head)
        ]
        names = (wanted.base, wanted.head or "working tree")
        yield tuple(
            Command(f"{text} @ {n}", wanted.words, p.path / here)
            for n, p in zip(names, places, strict=True)
        )


def measure(
    commands: tuple[Command, ...], wanted: BenchRequest, note: Callable[[str], None]
) -> tuple[CommandRuns, ...]:
    """Every run of every command, warm-ups first, then in mirrored order from round to round
    (ABBA).
    """
    once, limit = ENGINES[wanted.engine], _timeout(wanted.timeout)
    for _ in range(wanted.warmup):
        for command in commands:
            once(command, limit)
    found: list[list[CommandRun]] = [[] for _ in commands]
    for number in range(wanted.runs):
        order = range(len(commands)) if number % 2 == 0 else range(len(commands) - 1, -1, -1)
        for side in order:
            run = once(commands[side], limit)
            found[side].append(run)
            failed = f", exit code {run.exit_code}" if run.exit_code else ""
            note(
                f"{number + 1}/{wanted.runs} {format_duration(run.wall)}{failed} "
                f" {commands[side].name}"
            )
    return tuple(
        CommandRuns(command.name, tuple(runs)) for command, runs in zip(commands, found, strict=True)
    )


def _timeout(text: str) -> Seconds | None:
    try:
        return parse_duration(text) if text else None
    except UnitError as error:
        raise UsageError(f"--timeout: {error}") from error


def _exported(path: Path) -> CommandRuns:
    """The one command of an export. Raises StoreError."""
    found = hyperfine.read(read_text(path), str(path))
    if len(found) != 1:
        names = ", ".join(timed.name for timed in found)
        raise StoreError(
            f"{path} holds {len(found)} commands ({names}), and one is to be compared with",
            "Export one command.",
        )
    return found[0]


def tell(outcome: BenchResult, *, as_json: bool, quiet: bool) -> list[str]:
    """The outcome as it was asked for, a line each."""
    if as_json:
        plain = {
            "schema": 1,
            "event": "verdict" if outcome.verdict else "timed",
            "exit_code": outcome.exit_code,
        }
        body = {
            "verdict": verdict_document(outcome.verdict, outcome.one) if outcome.verdict else None,
            "change": to_plain(outcome.one),
            "timed": to_plain(outcome.timed),
        }
        return [
            json.dumps(
                {**plain, "word": str(outcome.verdict.word) if outcome.verdict else None, **body}
            )
        ]
    if outcome.verdict is None:
        lines = [line for timed in outcome.timed for line in summary(timed)]
        return [console.clean(line) for line in (lines[1:2] if quiet else lines)]
    if quiet:
        return [console.clean(f"{outcome.verdict.word}: {outcome.verdict.reason}")]
    times = [line for timed in outcome.timed for line in summary(timed)]
    return [
        console.clean(line) for line in [*verdict_lines(outcome.verdict, outcome.one), "", *times]
    ]


def summary(timed: CommandRuns) -> list[str]:
    """One command's times: middle and spread, the range, CPU and memory."""
    walls = sorted(run.wall for run in timed.runs)
    n, mean = len(walls), math.fsum(walls) / len(walls)
    spread = math.sqrt(math.fsum((w - mean) ** 2 for w in walls) / (n - 1)) if n > 1 else 0.0
    user, system = (_mean([getattr(r, key) for r in timed.runs]) for key in ("user", "system"))
    peaks = [run.peak_rss for run in timed.runs if run.peak_rss]
    lines = [
        timed.name,
        (
            f"  wall  {format_duration(mean)} ± {format_duration(spread)} (n={n}, "
            f"{format_duration(walls[0])} to {format_duration(walls[-1])})"
        ),
    ]
    if user is not None and system is not None:
        lines.append(f"  CPU   {format_duration(user)} user, {format_duration(system)} system")
    if peaks:
        lines.append(f"  peak  {max(peaks) / 2**20:.1f} MiB")
    failed = [run.exit_code for run in timed.runs if run.exit_code]
    if failed:
        lines.append(f"  {len(failed)} of {n} runs failed, the first with exit code {failed[0]}")
    return lines


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None
