"""`perfhunt bisect`: the first commit that made a service slower."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import STORE, JsonOption, QuietOption, StoreOption, TestFileOption
from perfhunt.cli.verbs.verify import Prepare
from perfhunt.errors import ExitCode, UsageError


def bisect(
    context: typer.Context,
    good: Annotated[str, typer.Argument(metavar="GOOD", help="A revision that was fast enough.")],
    bad: Annotated[str, typer.Argument(metavar="BAD", help="A later one that is slower.")] = "HEAD",
    file: TestFileOption = None,
    prepare: Prepare = "",
    budget: Annotated[
        str, typer.Option("--budget", help="Time for each comparison with GOOD.")
    ] = "5m",
    again: Annotated[
        bool, typer.Option("--again", help="Forget the judgements of an earlier bisection.")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    store: StoreOption = STORE,
) -> None:
    """Find the first commit that is slower than GOOD, by halving: each candidate is measured side
    by side with GOOD.

    KEEP, NO CHANGE and NOT WORTH IT count as good, REVERT as bad; the rest is skipped. Judgements
    are kept, so that a bisection that was stopped goes on. Exit code 0: found; 91: skipped commits
    hide which of several it is.
    """
    import shlex

    from perfhunt.jobs.bisect import BisectSearch, hunt

    if not context.obj:
        raise UsageError(
            "bisect starts the service itself",
            "perfhunt bisect GOOD BAD -- COMMAND, which must listen on $PORT",
        )
    wanted = BisectSearch(
        good, bad, tuple(context.obj), file, tuple(shlex.split(prepare)), budget, again, store
    )
    found = hunt(wanted, as_json=as_json, quiet=quiet)
    code = ExitCode.OK if found.bisected.found else ExitCode.INCONCLUSIVE
    if as_json:
        first, judged = found.bisected.first_bad, dict(found.bisected.judged)
        console.out(
            json.dumps(
                {
                    "schema": 1,
                    "event": "bisected",
                    "first_bad": list(first),
                    "judged": judged,
                    "exit_code": int(code),
                }
            )
        )
    else:
        for line in found.lines()[: 1 if quiet else None]:
            console.out(console.clean(line))
    raise typer.Exit(int(code))
