"""`perfhunt bench`: a verdict on a single command, or its times."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import JsonOption, QuietOption
from perfhunt.cli.verbs.change import CompoundOption
from perfhunt.cli.verbs.verify import Prepare
from perfhunt.errors import UsageError


def bench(
    context: typer.Context,
    base: Annotated[
        str,
        typer.Option(
            "--base", help="The revision to compare with; without it the command is only timed."
        ),
    ] = "",
    head: Annotated[
        str, typer.Option("--head", help="A revision, instead of the working tree.")
    ] = "",
    compare: Annotated[
        Path | None,
        typer.Option("--compare", help="Compare with a JSON export (hyperfine's or ours)."),
    ] = None,
    runs: Annotated[int, typer.Option("--runs", "-r", min=1, help="Runs of each version.")] = 10,
    warmup: Annotated[
        int, typer.Option("--warmup", "-w", min=0, help="Runs of each version that do not count.")
    ] = 1,
    prepare: Prepare = "",
    export: Annotated[
        Path | None, typer.Option("--export-json", help="Write every time here, as hyperfine does.")
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="What keeps time: perfhunt, or hyperfine.")
    ] = "perfhunt",
    timeout: Annotated[
        str, typer.Option("--timeout", help="End a run that takes longer, e.g. 30s.")
    ] = "",
    compound: CompoundOption = "",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Time a command: whole-process wall clock, CPU and peak memory. With --base: two versions from
    git, interleaved, judged.

    Exit code 0: not slower; 90: slower; 91: cannot be told, or a run failed; 92: the two versions
    differ by more than one change.
    """
    import shlex

    from perfhunt.jobs.bench import ENGINES, BenchRequest, run_bench, tell

    if not context.obj:
        raise UsageError(
            "bench times a command",
            "perfhunt bench -- COMMAND, or: perfhunt bench --base REV -- COMMAND",
        )
    if engine not in ENGINES:
        raise UsageError(f"--engine {engine} is not one of {', '.join(ENGINES)}")
    if base and compare is not None:
        raise UsageError("--base and --compare both name what to compare with", "Give one of them.")
    if head and not base:
        raise UsageError(
            "--head needs a --base to compare with",
            f"perfhunt bench --base HEAD~1 --head {head} -- COMMAND",
        )
    wanted = BenchRequest(
        tuple(context.obj),
        base,
        head,
        compare,
        runs,
        warmup,
        tuple(shlex.split(prepare)),
        export,
        engine,
        timeout,
        compound,
    )
    outcome = run_bench(wanted, console.note if not (quiet or as_json) else lambda _: None)
    for line in tell(outcome, as_json=as_json, quiet=quiet):
        console.out(line)
    raise typer.Exit(outcome.exit_code)
