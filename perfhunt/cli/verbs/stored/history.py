"""`perfhunt history`: the ledger."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import STORE, OneArrayOption, StoreOption
from perfhunt.errors import UsageError

if TYPE_CHECKING:
    from perfhunt.jobs.stored.history import PredictionHistory
    from perfhunt.store.ledger import LedgerRow, PredictionRow

_FOUND = 80  # characters: the columns behind begin at the same place in all rows


def history(
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="Changes nothing: the list is always made from the runs."),
    ] = False,
    limit: Annotated[
        int,
        typer.Option("--limit", "-n", min=1, max=1_000_000, help="How many runs, newest first."),
    ] = 20,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw the knee over commits here (SVG), and list nothing."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            help="Write a page here: knee, capacity, p99, CPU per request and predictions over"
            " commits, and where they changed; list nothing.",
        ),
    ] = None,
    predictions: Annotated[
        bool,
        typer.Option(
            "--predictions", help="How good predictions of a fix have been, instead of the runs."
        ),
    ] = False,
    as_json: OneArrayOption = False,
    store: StoreOption = STORE,
) -> None:
    """List the runs kept here: when, what was found, the knee, the verdict. Closes runs that a
    crash left open. One that cannot be read is a line that says why.
    """
    del rebuild  # of scripts that were written when there was an index to make again
    from perfhunt.cli.view.results import show_plain
    from perfhunt.cli.view.watchers import notes
    from perfhunt.jobs.stored.history import read_history, read_predictions

    if predictions and (plot or html):
        raise UsageError(
            "--predictions lists, and --plot and --html list nothing",
            "Leave --predictions out: the page of --html has them",
        )
    if predictions:
        show_predictions(read_predictions(store), limit=limit, as_json=as_json)
        return
    rows = read_history(store, limit=limit, watch=notes)
    if plot or html:
        show_drawn(rows, plot, html, store)
    elif as_json:
        show_plain([asdict(row) for row in rows])
    elif not rows:
        console.out(f"no runs under {store}: make one with perfhunt investigate --pid PID")
    else:
        columns, _ = console.size((sys.maxsize, 0))
        for line in (line for row in rows for line in row_lines(row, columns)):
            console.out(line)


def show_drawn(
    rows: Sequence[LedgerRow], plot: Path | None, html: Path | None, store: Path
) -> None:
    """Write the picture, the page or both, and print of how many runs."""
    from perfhunt.jobs.stored.history import draw_knees, read_predictions
    from perfhunt.jobs.stored.history_page import write_history_page

    drawn = {}
    if plot is not None:
        drawn[plot] = draw_knees(rows, plot)
    if html is not None:
        drawn[html] = write_history_page(rows, read_predictions(store).rows, store, html)
    for path, of in drawn.items():
        console.out(
            f"written: {path} ({of.drawn} of {of.searched} runs were asked the same question)"
        )


def show_predictions(history: PredictionHistory, *, limit: int, as_json: bool) -> None:
    """Print how good predictions have been: in sum, then each, newest first."""
    from perfhunt.cli.view.results import show_plain

    rows = history.rows[:limit]
    if as_json:
        show_plain([asdict(row) for row in rows])
        return
    for line in record_lines(history):
        console.out(line)
    for row in rows:
        console.out(prediction_line(row))


def record_lines(history: PredictionHistory) -> list[str]:
    """How good predictions have been, in a line or two."""
    from perfhunt.model.units import format_share

    record = history.record
    if not history.rows:
        return ["no prediction was checked yet: perfhunt verify does, after a change it foretold"]
    if record.median_error is None or record.within is None:
        return ["no prediction can be judged yet"]
    lines = [
        f"predictions: median error {format_share(record.median_error)},"
        f" {format_share(record.within)} within their interval (n={record.n})"
    ]
    if record.partial:
        lines.append(f"{record.partial} not counted: the edit took out only a part of what it was")
    return lines


def prediction_line(row: PredictionRow) -> str:
    """One prediction in a line."""
    from perfhunt.jobs.stored.history import score_of
    from perfhunt.reports.verdict_text import prediction_sentence

    return f"{row.verification}  {row.function}  {prediction_sentence(score_of(row))}"


def row_lines(row: LedgerRow, columns: int) -> tuple[str, ...]:
    """One run in a line, or in two where that is wider than the terminal."""
    from perfhunt.model.run import RunEnd

    revision = (row.git_revision[:9] + ("+" if row.git_dirty else "")) or "no git"
    ended = "" if row.ended == RunEnd.COMPLETE else f"  [{row.ended}]"
    found = f"{row.id}  {row.kind:<11} {row.verdict:<8} {_knee(row)}"
    whole = f"{found:<{_FOUND}} {row.bottleneck:<14} {row.top_function}  {revision}{ended}"
    if len(whole) <= columns:
        return (whole,)
    rest = "  ".join(filter(None, (row.bottleneck, row.top_function, revision)))
    return found, f"  {rest}{ended}"


def _knee(row: LedgerRow) -> str:
    from perfhunt.model.units import format_rate

    if row.knee is None or row.knee_low is None or row.knee_high is None:
        return f"no knee: {row.knee_none or 'not searched'}"
    rate, low, high = (format_rate(rate) for rate in (row.knee, row.knee_low, row.knee_high))
    return f"knee {rate} ({low} to {high})"
