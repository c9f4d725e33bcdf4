"""`perfhunt history`: the ledger."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import STORE, OneArrayOption, StoreOption

if TYPE_CHECKING:
    from perfhunt.store.ledger import LedgerRow


def history(
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="Make the ledger again from the run directories first."),
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many runs, newest first.")] = 20,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw the knee over commits here (SVG), and list nothing."),
    ] = None,
    as_json: OneArrayOption = False,
    store: StoreOption = STORE,
) -> None:
    """List the runs kept here: when, what was found, the knee, the verdict. Closes runs that a
    crash left open.
    """
    from perfhunt.cli.view.watchers import notes
    from perfhunt.jobs.stored.history import draw_knees, read_history

    rows = read_history(store, limit=limit, rebuild=rebuild, watch=notes)
    if plot is not None:
        drawn = draw_knees(rows, plot)
        console.out(
            f"written: {plot} ({drawn.drawn} of {drawn.searched} runs were asked the same question)"
        )
    elif as_json:
        console.out(json.dumps([asdict(row) for row in rows], indent=2))
    elif not rows:
        console.out(f"no runs under {store}: make one with perfhunt investigate --pid PID")
    else:
        for row in rows:
            console.out(console.clean(row_line(row)))


def row_line(row: LedgerRow) -> str:
    """One run in a line."""
    from perfhunt.model.run import RunEnd

    revision = (row.git_revision[:9] + ("+" if row.git_dirty else "")) or "no git"
    ended = "" if row.ended == RunEnd.COMPLETE else f"  [{row.ended}]"
    return (
        f"{row.id}  {row.kind:<11} {row.verdict:<8} {_knee(row):<34}"
        f" {row.bottleneck:<14} {row.top_function}  {revision}{ended}"
    )


def _knee(row: LedgerRow) -> str:
    from perfhunt.model.units import format_rate

    if row.knee is None or row.knee_low is None or row.knee_high is None:
        return f"no knee: {row.knee_none or 'not searched'}"
    rate, low, high = (format_rate(rate) for rate in (row.knee, row.knee_low, row.knee_high))
    return f"knee {rate} ({low} to {high})"
