"""`perfhunt open`: a stored report in the browser."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import STORE, RunName, Store
from perfhunt.errors import StoreError


def open_report(
    run: RunName = "last",
    just_say: Annotated[bool, typer.Option("--print", help="Print where the report is; open nothing.")] = False,
    store: Store = STORE,
) -> None:
    """Open the HTML report of a run in the browser."""
    from perfhunt.store.listing import find

    report = find(store, run) / "report.html"
    if not report.exists():
        raise StoreError(f"{report} is not there", f"Render it again: perfhunt report {run} --format html --output {report}")
    if not just_say and not webbrowser.open(report.resolve().as_uri()):
        console.note("no browser could be started here; the report is at:")
    console.out(str(report))
