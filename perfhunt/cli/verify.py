"""`perfhunt verify`: one change, the same question, a verdict."""

from __future__ import annotations

from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.changes import Base, Head
from perfhunt.cli.options import STORE, Json, Pid, Port, Quiet, RunName, Store, TestFile, Url


def verify(
    context: typer.Context,
    run: RunName = "last",
    pid: Pid = None,
    port: Port = None,
    url: Url = None,
    file: TestFile = None,
    base: Base = "",
    head: Head = "",
    prepare: Annotated[str, typer.Option("--prepare", help="A command that makes a fresh checkout ready to start.")] = "",
    budget: Annotated[str, typer.Option("--budget", help="Time for the paired comparison.")] = "12m",
    compound: Annotated[str, typer.Option("--compound", help="Measure several changes at once, for this reason.")] = "",
    revert: Annotated[bool, typer.Option("--revert", help="On REVERT, take the edit out of the working tree.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    store: Store = STORE,
) -> None:
    """Check that exactly one thing changed, ask the stored question again, and give a verdict.

    With --pid: of a service you restarted with the change in it. With -- COMMAND: both versions are started from git, side by
    side, each on a $PORT of its own, which is surer and sees smaller changes.
    """
    from perfhunt.cli.verifying import Wanted, verify_command, verify_process

    wanted = Wanted(
        run, pid, port, url, file, base, head, tuple(prepare.split()), budget, compound, revert, as_json, quiet, store
    )  # fmt: skip
    verdict = verify_command(wanted, context.obj) if context.obj else verify_process(wanted)
    if verdict.word == "REVERT" and not revert and not as_json:
        console.note("to take the change out: git checkout -- . (untracked files stay), or run verify again with --revert")
    raise typer.Exit(int(verdict.exit_code))
