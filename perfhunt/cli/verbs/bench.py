"""`perfhunt bench`: a verdict on a single command, or its times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from perfhunt.cli.options import (
    CleanupOption,
    CompareOption,
    CompoundOption,
    ExportOption,
    HeadOption,
    IgnoreFailureOption,
    JsonOption,
    MisplacedArgument,
    OutputOption,
    ParameterOption,
    QuietOption,
    RunPrepareOption,
    RunsOption,
    TimedBaseOption,
    TimeoutOption,
    TimerOption,
    TrustOption,
    WarmupRunsOption,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfhunt.jobs.bench.bench import BenchResult
    from perfhunt.model.verdict.command_run import CommandRuns
    from perfhunt.model.verdict.verdict import Verdict


def bench(
    context: typer.Context,
    misplaced: MisplacedArgument = None,
    base: TimedBaseOption = "",
    head: HeadOption = "",
    compare: CompareOption = None,
    parameter: ParameterOption = None,
    runs: RunsOption = 10,
    warmup: WarmupRunsOption = 1,
    prepare: RunPrepareOption = "",
    cleanup: CleanupOption = "",
    output: OutputOption = "pipe",
    ignore_failure: IgnoreFailureOption = False,
    export: ExportOption = None,
    engine: TimerOption = "perfhunt",
    timeout: TimeoutOption = "",
    compound: CompoundOption = "",
    trust_repository: TrustOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Time a command: whole-process wall clock, CPU and peak memory. With --base: two versions from
    git, interleaved, judged. With --parameter: with each value, in turns.

    Exit code 0: not slower; 90: slower; 91: cannot be told, or a run failed; 92: the two versions
    differ by more than one change.
    """
    import os
    from pathlib import Path

    from perfhunt.cli.view.watchers import notes
    from perfhunt.jobs.bench.bench import run_bench
    from perfhunt.jobs.bench.request import BenchRequest
    from perfhunt.jobs.request import duration_of, words_of
    from perfhunt.model.run import unwatched

    request = BenchRequest(
        words=_behind_dashes(context.obj, misplaced),
        base=base,
        head=head,
        compare=compare,
        parameters=tuple(parameter or ()),
        runs=runs,
        warmup=warmup,
        prepare=words_of("--prepare", prepare),
        cleanup=words_of("--cleanup", cleanup),
        output=None if output == "pipe" else Path(os.devnull if output == "null" else output),
        ignore_failure=ignore_failure,
        export=export,
        timer=engine,
        timeout=duration_of("--timeout", timeout) if timeout else None,
        compound=compound,
        trust_repository=trust_repository,
    )
    result = run_bench(request, unwatched if quiet or as_json else notes)
    show(result, as_json=as_json, quiet=quiet)
    raise typer.Exit(int(result.exit_code))


def _behind_dashes(words: Sequence[str] | None, misplaced: Sequence[str] | None) -> tuple[str, ...]:
    from perfhunt.errors import UsageError

    if misplaced:
        raise UsageError(
            "the command to time stands behind --", f"perfhunt bench -- {' '.join(misplaced)}"
        )
    return tuple(words or ())


def show(result: BenchResult, *, as_json: bool, quiet: bool) -> None:
    """Print the verdicts, where there are any, and the times."""
    from perfhunt.cli import console
    from perfhunt.cli.view.results import show_json, show_lines
    from perfhunt.reports.verdict_text import caution_line

    if result.unkept:
        console.note(f"perfhunt: not exported: {result.unkept}")
    if as_json:
        show_json("verdict" if result.verdicts else "timed", _plain(result))
    elif quiet:
        show_lines(_short(result))
    else:
        times = [line for timed in result.timed for line in summary(timed)]
        show_lines([*_judged(result), *times, *comparison(result)])
        show_lines(["", *map(caution_line, result.cautions)] if result.cautions else [])


def _plain(result: BenchResult) -> dict[str, object]:
    from perfhunt.model.document.plain import to_plain
    from perfhunt.model.document.writing import verdict_document

    documents = [verdict_document(verdict, result.change) for verdict in result.verdicts]
    verdict = result.verdict
    return {
        "exit_code": int(result.exit_code),
        "word": str(verdict.word) if verdict else None,
        "verdict": documents[result.verdicts.index(verdict)] if verdict else None,
        "verdicts": [
            {"parameters": dict(timed.parameters), "verdict": document}
            for timed, document in zip(result.timed[1::2], documents, strict=False)
        ],
        "change": to_plain(result.change),
        "timed": [
            {**to_plain(timed), "parameters": dict(timed.parameters)} for timed in result.timed
        ],
        "cautions": to_plain(result.cautions),
    }


def _judged(result: BenchResult) -> list[str]:
    """Each verdict under the parameters that it is of, and an empty line."""
    from perfhunt.reports.verdict_text import verdict_lines

    lines: list[str] = []
    for verdict, label in _labelled(result):
        lines += [f"{label}:"] if label else []
        lines += [*verdict_lines(verdict, result.change), ""]
    return lines


def _short(result: BenchResult) -> list[str]:
    """A line for each verdict; without any, the wall clock of each command."""
    from perfhunt.cli.view.results import verdict_line

    if result.verdicts:
        return [verdict_line(verdict, label) for verdict, label in _labelled(result)]
    # The second line is the wall clock's.
    walls = [summary(timed)[1] for timed in result.timed]
    if len(walls) == 1:
        return walls
    return [f"{timed.name}:{wall}" for timed, wall in zip(result.timed, walls, strict=True)]


def _labelled(result: BenchResult) -> list[tuple[Verdict, str]]:
    labels = (", ".join(map("=".join, timed.parameters)) for timed in result.timed[1::2])
    return list(zip(result.verdicts, labels, strict=False))  # no verdicts, where none are compared


def comparison(result: BenchResult) -> list[str]:
    """How many times as long as the quickest each command took, where several were timed and none
    judged.
    """
    from perfhunt.analysis.verdict.relative import relative_times

    if result.verdicts or len(result.timed) == 1:
        return []
    lines = ["", "times as long as the quickest (95 % interval):"]
    for each in relative_times(result.timed):
        if each.times is not None:
            said = f"{each.times.value:.2f} ({each.times.low:.2f} to {each.times.high:.2f})"
        else:
            said = "1, the quickest" if each.quickest else "not known: too few runs"
        lines.append(f"  {each.command.name}  {said}")
    return lines


def summary(timed: CommandRuns) -> list[str]:
    """One command's times: middle and spread, the range, CPU and memory."""
    from statistics import fmean, stdev

    from perfhunt.model.units import format_duration

    runs = timed.measured
    lines = [timed.name]
    if runs:
        walls = sorted(run.wall for run in runs)
        n = len(walls)
        spread = f" ± {format_duration(stdev(walls))}" if n > 1 else ""
        lines.append(
            f"  wall  {format_duration(fmean(walls))}{spread} (n={n}, "
            f"{format_duration(walls[0])} to {format_duration(walls[-1])})"
        )
    else:
        lines.append("  wall  not known: every run failed")
    users = [run.user for run in runs if run.user is not None]
    systems = [run.system for run in runs if run.system is not None]
    if users and systems:
        user, system = format_duration(fmean(users)), format_duration(fmean(systems))
        lines.append(f"  CPU   {user} user, {system} system")
    if peaks := [run.peak_rss for run in runs if run.peak_rss]:
        lines.append(f"  peak  {max(peaks) / 2**20:.1f} MiB")
    return lines + _failed(timed)


def _failed(timed: CommandRuns) -> list[str]:
    """How many runs failed, and how the first did, with what it said last."""
    from perfhunt.jobs.bench.measuring import failure_of

    failed = [run for run in timed.runs if run.exit_code]
    if not failed:
        return []
    said = failed[0].said.splitlines()
    return [
        f"  {len(failed)} of {len(timed.runs)} runs failed and are in no time above, the first:"
        f" {failure_of(failed[0])}{', and said last' if said else ''}",
        *(f"    {line}" for line in said),
    ]
