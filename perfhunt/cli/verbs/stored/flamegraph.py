"""`perfhunt flamegraph`: any profile as a picture, or the difference of two."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import STORE, StoreOption, ValueOption


def flamegraph(
    source: Annotated[
        str, typer.Argument(metavar="A", help="A profile's file, `-`, a run, or RUN:SPAN.")
    ],
    after: Annotated[
        str, typer.Argument(metavar="[B]", help="Another: what differs from A is drawn.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here instead of to stdout.")
    ] = None,
    title: Annotated[str, typer.Option("--title", help="Above the picture.")] = "",
    inverted: Annotated[
        bool, typer.Option("--inverted", help="Leaves first: what the cost is spent in.")
    ] = False,
    by_state: Annotated[
        bool, typer.Option("--by-state", help="What ran and each kind of wait apart.")
    ] = False,
    elided: Annotated[
        bool, typer.Option("--elided", help="Only what A has and B has no more.")
    ] = False,
    narrowest: Annotated[
        float,
        typer.Option(
            "--min", min=0.0, max=100.0, help="Leave out what is less, in per cent of the whole."
        ),
    ] = 0.03,
    source_format: Annotated[
        str, typer.Option("--from", help="The format of A and B [default: told from content].")
    ] = "",
    value: ValueOption = "",
    store: StoreOption = STORE,
) -> None:
    """Draw a profile of any format as a flame graph: one SVG, searchable, that needs no network."""
    from perfhunt.jobs.profiles.flamegraph import FlamegraphRequest, draw_flamegraph

    drawn = draw_flamegraph(
        FlamegraphRequest(
            source=source,
            after=after,
            output=output,
            title=title,
            inverted=inverted,
            by_state=by_state,
            elided=elided,
            narrowest=narrowest / 100,
            source_format=source_format,
            value=value,
            store=store,
        )
    )
    for note in drawn.notes:
        console.note(note)
    if output is None:
        text = drawn.svg
        console.rendered(text)
    else:
        console.note(f"written: {output}")
