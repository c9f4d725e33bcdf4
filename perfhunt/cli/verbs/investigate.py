"""`perfhunt investigate`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import (
    STORE,
    JsonOption,
    PidOption,
    PortOption,
    QuietOption,
    StoreOption,
    TestFileOption,
    UrlOption,
)

_ARTIFACTS_HELP = "Also put report and pictures here, for CI to keep: --artifacts flamegraphs"
Artifacts = Annotated[
    Path | None, typer.Option("--artifacts", help=_ARTIFACTS_HELP, envvar="PERFHUNT_ARTIFACTS")
]


def investigate(
    pid: PidOption = None,
    port: PortOption = None,
    url: UrlOption = None,
    file: TestFileOption = None,
    budget: Annotated[
        str | None, typer.Option("--budget", help="Load to spend on the search, e.g. 5m.")
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="About a minute of load: a bracket instead of an interval."),
    ] = False,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Load processes on this machine.")
    ] = 1,
    bind: Annotated[
        str, typer.Option("--bind", help="HOST:PORT to wait at for that many `perfhunt worker`s.")
    ] = "",
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed of arrivals, mix and feed rows.")
    ] = None,
    profile: Annotated[
        str, typer.Option("--profile", help="auto; required: fail if nothing attaches; off.")
    ] = "auto",
    open_target: Annotated[
        bool, typer.Option("--open-target", help="Allow profilers that open a door into it.")
    ] = False,
    warm_up: Annotated[
        bool, typer.Option("--warm-up", help="First wait until the service's median stands still.")
    ] = False,
    resume: Annotated[
        str | None,
        typer.Option("--resume", help="Go on with an interrupted run of the same question."),
    ] = None,
    allow_busy: Annotated[
        bool, typer.Option("--allow-busy", help="Go on although somebody else loads the target.")
    ] = False,
    artifacts: Artifacts = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    store: StoreOption = STORE,
) -> None:
    """Find the knee, profile the service there, and say what stops it. Exit code 0: SLO met; 99:
    missed; 91: not known.
    """
    from perfhunt.errors import UsageError
    from perfhunt.jobs.setup import InvestigateRequest
    from perfhunt.model.units import UnitError, parse_duration

    if profile not in ("auto", "required", "off"):
        raise UsageError(f"--profile {profile} is not auto, required or off")
    try:
        seconds = parse_duration(budget) if budget else None
    except UnitError as error:
        raise UsageError(f"--budget: {error}") from error
    asked = InvestigateRequest(
        pid,
        port,
        url,
        file,
        store,
        artifacts,
        workers,
        bind,
        seconds,
        seed,
        quick,
        profile,
        open_target,
        allow_busy,
        warm_up,
        resume,
    )
    raise typer.Exit(run_and_tell(asked, as_json=as_json, quiet=quiet))


def run_and_tell(asked: object, *, as_json: bool, quiet: bool) -> int:
    """Run an investigation with a watcher, print how it ended, and return the exit code."""
    from perfhunt.cli.view.watchers import watching
    from perfhunt.jobs.setup import InvestigateRequest, run_investigation
    from perfhunt.reports.format import FORMATS
    from perfhunt.reports.verdict_sentence import verdict_sentence

    assert isinstance(asked, InvestigateRequest)
    with watching(as_json=as_json, quiet=quiet) as watch:
        run = run_investigation(asked, watch)
    if quiet:
        console.out(console.clean(verdict_sentence(run)))
    elif not as_json:
        console.out(FORMATS["terminal"].render(run).rstrip("\n"))
        console.out(f"\nreport: {asked.store / 'runs' / run.id / 'report.html'}")
    return run.exit_code
