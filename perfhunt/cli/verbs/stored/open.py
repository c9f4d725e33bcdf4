"""`perfhunt open`: a stored report, or its profile in speedscope, in the browser."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import STORE, RunArgument, StoreOption


def open_report(
    run: RunArgument = "last",
    just_say: Annotated[
        bool, typer.Option("--print", help="Print where it is; open nothing.")
    ] = False,
    speedscope: Annotated[
        bool, typer.Option("--speedscope", help="The profile, in the speedscope viewer (npm).")
    ] = False,
    store: StoreOption = STORE,
) -> None:
    """Open the HTML report of a run in the browser, or its profile in speedscope."""
    from perfhunt.jobs.stored.viewer import report_page, speedscope_page

    page = speedscope_page(run, store) if speedscope else report_page(run, store)
    if not just_say and not webbrowser.open(page.address):
        console.note("no browser could be started here; it is at:")
    console.out(page.address if speedscope else str(page.path))
