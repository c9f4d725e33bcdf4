"""`perfhunt verify`: one change, the same question, a verdict."""

from __future__ import annotations

from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import (
    STORE,
    JsonOption,
    PidOption,
    PortOption,
    QuietOption,
    RunArgument,
    StoreOption,
    TestFileOption,
    UrlOption,
)
from perfhunt.cli.verbs.change import BaseOption, CompoundOption, HeadOption

Prepare = Annotated[
    str, typer.Option("--prepare", help="A command that makes a fresh checkout ready to start.")
]


def verify(
    context: typer.Context,
    run: RunArgument = "last",
    pid: PidOption = None,
    port: PortOption = None,
    url: UrlOption = None,
    file: TestFileOption = None,
    base: BaseOption = "",
    head: HeadOption = "",
    prepare: Prepare = "",
    budget: Annotated[
        str, typer.Option("--budget", help="Time for the rounds of a paired comparison.")
    ] = "14m",
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="With --pid: a bracket of the knee, in about a minute of load."
        ),
    ] = False,
    profile: Annotated[
        str, typer.Option("--profile", help="auto; off: no attribution to functions.")
    ] = "auto",
    compound: CompoundOption = "",
    revert: Annotated[
        bool, typer.Option("--revert", help="On REVERT, take the edit out of the working tree.")
    ] = False,
    allow_busy: Annotated[
        bool, typer.Option("--allow-busy", help="Go on although somebody else loads the target.")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    store: StoreOption = STORE,
) -> None:
    """Check that exactly one thing changed, ask the stored question again, and give a verdict.

    With --pid: of a service you restarted with the change in it. With -- COMMAND: both versions are
    started from git, side by side, each on a $PORT of its own, which is surer and sees smaller
    changes.

    Exit code 0: KEEP, NO CHANGE or NOT WORTH IT; 90: REVERT; 91: MIXED, INCONCLUSIVE or INVALID;
    92: not exactly one change.
    """
    import shlex

    from perfhunt.errors import UsageError
    from perfhunt.jobs.verify.verify import VerifyRequest, tell

    if profile not in ("auto", "off"):
        raise UsageError(f"--profile {profile} is not auto or off")
    if context.obj and (pid is not None or port is not None):
        raise UsageError(
            "--pid is of a service that runs already; after -- comes a command that starts one",
            "Give one of them.",
        )
    wanted = VerifyRequest(
        run,
        pid,
        port,
        url,
        file,
        base,
        head,
        tuple(shlex.split(prepare)),
        budget,
        quick,
        profile,
        compound,
        revert,
        allow_busy,
        as_json,
        quiet,
        store,
    )
    if context.obj:
        from perfhunt.jobs.verify.command import verify_command

        outcome = verify_command(wanted, context.obj)
    else:
        from perfhunt.jobs.verify.process import verify_process

        outcome = verify_process(wanted)
    for line in tell(outcome, wanted):
        console.out(line)
    raise typer.Exit(int(outcome.verdict.exit_code))
