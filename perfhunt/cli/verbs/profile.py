"""`perfhunt profile`: capture and rank under whatever load there is."""

from __future__ import annotations

from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import (
    STORE,
    OpenTargetOption,
    PidOption,
    PortOption,
    QuietOption,
    StoreOption,
    TrustOption,
)


def profile(
    pid: PidOption = None,
    port: PortOption = None,
    seconds: Annotated[int, typer.Option("--seconds", "-s", min=4, help="How long to look.")] = 20,
    open_target: OpenTargetOption = False,
    trust_repository: TrustOption = False,
    quiet: QuietOption = False,
    store: StoreOption = STORE,
) -> None:
    """Profile a live service under the load it has now: what runs, what waits, for what. Sends
    nothing.
    """
    from perfhunt.cli.view.results import show_lines
    from perfhunt.jobs.profile import ProfileRequest, run_profile
    from perfhunt.reports.format import FORMATS

    request = ProfileRequest(
        pid=pid,
        port=port,
        seconds=seconds,
        open_target=open_target,
        store=store,
        trust_repository=trust_repository,
    )
    run = run_profile(request)
    console.rendered(FORMATS["terminal"].render(run))
    picture = store / "runs" / run.id / "flamegraph.svg"
    if not quiet and picture.exists():
        show_lines(["", f"flame graph: {picture}"])
