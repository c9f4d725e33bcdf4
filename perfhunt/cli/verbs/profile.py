"""`perfhunt profile`: capture and rank under whatever load there is."""

from __future__ import annotations

from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import STORE, PidOption, PortOption, QuietOption, StoreOption
from perfhunt.errors import UsageError


def profile(
    pid: PidOption = None,
    port: PortOption = None,
    seconds: Annotated[int, typer.Option("--seconds", "-s", min=4, help="How long to look.")] = 20,
    open_target: Annotated[
        bool, typer.Option("--open-target", help="Allow profilers that open a door into it.")
    ] = False,
    quiet: QuietOption = False,
    store: StoreOption = STORE,
) -> None:
    """Profile a live service under the load it has now: what runs, what waits, for what. Sends
    nothing.
    """
    from perfhunt.jobs.profile import profile_now
    from perfhunt.reports.format import FORMATS

    if (pid is None) == (port is None):
        raise UsageError(
            "profile needs one live service",
            "perfhunt profile --pid PID, or --port N; what listens here: ss -ltnp",
        )
    run = profile_now(pid, port, seconds, open_target, store)
    console.out(FORMATS["terminal"].render(run).rstrip("\n"))
    if not quiet:
        console.out(f"\nflame graph: {store / 'runs' / run.id / 'flamegraph.svg'}")
