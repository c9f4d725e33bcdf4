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
    PrepareOption,
    QuietOption,
    RunsOption,
    TimedBaseOption,
    TimeoutOption,
    TimerOption,
    TrustOption,
    WarmupRunsOption,
)

if TYPE_CHECKING:
    from perfhunt.jobs.bench.bench import BenchResult
    from perfhunt.model.verdict.command_run import CommandRuns


def bench(
    context: typer.Context,
    base: TimedBaseOption = "",
    head: HeadOption = "",
    compare: CompareOption = None,
    runs: RunsOption = 10,
    warmup: WarmupRunsOption = 1,
    prepare: PrepareOption = "",
    cleanup: CleanupOption = "",
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
    git, interleaved, judged.

    Exit code 0: not slower; 90: slower; 91: cannot be told, or a run failed; 92: the two versions
    differ by more than one change.
    """
    import shlex

    from perfhunt.cli.view.watchers import notes
    from perfhunt.jobs.bench.bench import BenchRequest, run_bench
    from perfhunt.jobs.request import duration_of
    from perfhunt.model.run import unwatched

    request = BenchRequest(
        words=tuple(context.obj or ()),
        base=base,
        head=head,
        compare=compare,
        runs=runs,
        warmup=warmup,
        prepare=tuple(shlex.split(prepare)),
        cleanup=tuple(shlex.split(cleanup)),
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


def show(result: BenchResult, *, as_json: bool, quiet: bool) -> None:
    """Print the verdict, where there is one, and the times."""
    from perfhunt.cli import console
    from perfhunt.cli.view.results import show_json, show_lines, verdict_line
    from perfhunt.reports.verdict_text import verdict_lines

    if result.unkept:
        console.note(f"perfhunt: not exported: {result.unkept}")
    verdict, times = result.verdict, [line for timed in result.timed for line in summary(timed)]
    if as_json:
        show_json("verdict" if verdict else "timed", _plain(result))
    elif verdict is None:
        # The second line is the wall clock's.
        show_lines(times[1:2] if quiet else times)
    elif quiet:
        show_lines([verdict_line(verdict)])
    else:
        show_lines([*verdict_lines(verdict, result.change), "", *times])


def _plain(result: BenchResult) -> dict[str, object]:
    from perfhunt.model.document.plain import to_plain
    from perfhunt.model.document.writing import verdict_document

    verdict = result.verdict
    return {
        "exit_code": int(result.exit_code),
        "word": str(verdict.word) if verdict else None,
        "verdict": verdict_document(verdict, result.change) if verdict else None,
        "change": to_plain(result.change),
        "timed": to_plain(result.timed),
    }


def summary(timed: CommandRuns) -> list[str]:
    """One command's times: middle and spread, the range, CPU and memory."""
    from statistics import fmean, stdev

    from perfhunt.model.units import format_duration

    runs = [run for run in timed.runs if not run.exit_code]
    failed = [run for run in timed.runs if run.exit_code]
    lines = [timed.name]
    if runs:
        walls = sorted(run.wall for run in runs)
        n, mean = len(walls), fmean(walls)
        spread = stdev(walls) if n > 1 else 0.0
        lines.append(
            f"  wall  {format_duration(mean)} ± {format_duration(spread)} (n={n}, "
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
    if failed:
        first = f"exit code {failed[0].exit_code}" + (
            f": {failed[0].said}" if failed[0].said else ""
        )
        lines.append(
            f"  {len(failed)} of {len(timed.runs)} runs failed and are in no time above, the first"
            f" with {first}"
        )
    return lines
