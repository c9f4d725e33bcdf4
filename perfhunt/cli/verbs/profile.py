"""`perfhunt profile`: capture and rank under whatever load there is."""

from __future__ import annotations

from typing import Annotated

import typer

from perfhunt.cli.options import (
    STORE,
    ExecPrefixOption,
    OpenTargetOption,
    PidOption,
    PortOption,
    QuietOption,
    StoreOption,
    TrustOption,
    WideOption,
)


def profile(
    context: typer.Context,
    pid: PidOption = None,
    port: PortOption = None,
    seconds: Annotated[int, typer.Option("--seconds", "-s", min=4, help="How long to look.")] = 20,
    open_target: OpenTargetOption = False,
    exec_prefix: ExecPrefixOption = "",
    trust_repository: TrustOption = False,
    quiet: QuietOption = False,
    wide: WideOption = False,
    store: StoreOption = STORE,
) -> None:
    """Profile a live service under the load it has now: what runs, what waits, for what. Sends
    nothing. With -- COMMAND the service is started for that, and ended with it.
    """
    from perfhunt.cli.view.results import show_run
    from perfhunt.jobs.profile import ProfileRequest, run_profile

    request = ProfileRequest(
        command=tuple(context.obj or ()),
        pid=pid,
        port=port,
        seconds=seconds,
        open_target=open_target,
        store=store,
        trust_repository=trust_repository,
        exec_prefix=exec_prefix,
    )
    run = run_profile(request)
    show_run(run, store, as_json=False, quiet=quiet, wide=wide, page="flamegraph.svg")
