"""`perfhunt history`: the ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import STORE, StoreOption

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
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
    store: StoreOption = STORE,
) -> None:
    """List the runs kept here: when, what was found, the knee, the verdict. Closes runs that a
    crash left open.
    """
    from perfhunt.store import ledger
    from perfhunt.store.rundir import repair

    for closed in repair(store, console.note):
        console.note(f"closed {closed.name}: perfhunt was ended from outside while it ran")
        rebuild = True
    if rebuild:
        for problem in ledger.rebuild(store):
            console.note(problem)
    rows = ledger.history(store, limit=limit)
    if plot is not None:
        draw(rows, plot)
        return
    if as_json:
        console.out(json.dumps([asdict(row) for row in rows], indent=2))
        return
    if not rows:
        console.out(f"no runs under {store}: make one with perfhunt investigate --pid PID")
    for row in rows:
        console.out(_line(row))


def draw(rows: Sequence[LedgerRow], path: Path) -> None:
    """Draw the knees of the runs that were asked what the newest one was asked: only those
    compare.
    """
    from perfhunt.errors import UsageError
    from perfhunt.reports.pictures.history_svg import KneePoint, knee_history
    from perfhunt.store.files import write_atomic

    searched = [
        row for row in rows if row.kind in ("investigate", "verify") and row.ended == "complete"
    ]
    if not searched:
        raise UsageError(
            "no run here has looked for a knee", "Make one: perfhunt investigate --pid PID"
        )
    alike = [row for row in reversed(searched) if row.fingerprint == searched[0].fingerprint]
    points = [
        KneePoint(
            row.git_revision[:7] + ("+" if row.git_dirty else ""),
            row.started,
            row.knee,
            row.knee_low,
            row.knee_high,
            row.knee_none,
            row.kind == "verify",
        )
        for row in alike
    ]
    write_atomic(path, knee_history(points, f"Knee of {alike[-1].target} over {len(points)} runs"))
    console.out(
        f"written: {path} ({len(points)} of {len(searched)} runs were asked the same question)"
    )


def _line(row: LedgerRow) -> str:
    from perfhunt.model.units import format_rate

    if row.knee is not None and row.knee_low is not None and row.knee_high is not None:
        knee = (
            f"knee {format_rate(row.knee)} ({format_rate(row.knee_low)} to"
            f" {format_rate(row.knee_high)})"
        )
    else:
        knee = f"no knee: {row.knee_none or 'not searched'}"
    revision = (row.git_revision[:9] + ("+" if row.git_dirty else "")) or "no git"
    ended = "" if row.ended == "complete" else f"  [{row.ended}]"
    return console.clean(
        f"{row.id}  {row.kind:<11} {row.verdict:<8} {knee:<34} {row.bottleneck:<14}"
        f" {row.top_function}  {revision}{ended}"
    )
