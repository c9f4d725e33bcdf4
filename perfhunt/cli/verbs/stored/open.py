"""`perfhunt open`: a stored report, or its profile in speedscope, in the browser."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import STORE, RunArgument, StoreOption
from perfhunt.errors import StoreError


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
    from perfhunt.jobs.speedscope_viewer import viewer_page
    from perfhunt.store.listing import find

    wanted, form = (
        ("profile.speedscope.json", "speedscope") if speedscope else ("report.html", "html")
    )
    path = find(store, run) / wanted
    if not path.exists():
        raise StoreError(
            f"{path} is not there",
            f"Render it again: perfhunt report {run} --format {form} --output {wanted}",
        )
    address = viewer_page(path) if speedscope else path.resolve().as_uri()
    if not just_say and not webbrowser.open(address):
        console.note("no browser could be started here; it is at:")
    console.out(address if speedscope else str(path))
