"""`perfhunt history`: the ledger."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import STORE, Store


def history(
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make the ledger again from the run directories first.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many runs, newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
    store: Store = STORE,
) -> None:
    """List the runs kept here: when, what was found, the knee, the verdict. Closes runs that a crash left open."""
    from perfhunt.store import ledger
    from perfhunt.store.rundir import repair

    for closed in repair(store, console.note):
        console.note(f"closed {closed.name}: perfhunt was ended from outside while it ran")
        rebuild = True
    if rebuild:
        for problem in ledger.rebuild(store):
            console.note(problem)
    rows = ledger.history(store, limit=limit)
    if as_json:
        console.out(json.dumps([asdict(row) for row in rows], indent=2))
        return
    if not rows:
        console.out(f"no runs under {store}: make one with perfhunt investigate --pid PID")
    for row in rows:
        console.out(_line(row))


def _line(row: object) -> str:
    from perfhunt.model.units import format_rate
    from perfhunt.store.ledger import Row

    assert isinstance(row, Row)
    if row.knee is not None and row.knee_low is not None and row.knee_high is not None:
        knee = f"knee {format_rate(row.knee)} ({format_rate(row.knee_low)} to {format_rate(row.knee_high)})"
    else:
        knee = f"no knee: {row.knee_none or 'not searched'}"
    revision = (row.git_revision[:9] + ("+" if row.git_dirty else "")) or "no git"
    ended = "" if row.ended == "complete" else f"  [{row.ended}]"
    return console.clean(
        f"{row.id}  {row.kind:<11} {row.verdict:<8} {knee:<34} {row.bottleneck:<14} {row.top_function}  {revision}{ended}"
    )
