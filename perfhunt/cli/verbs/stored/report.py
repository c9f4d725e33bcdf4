"""`perfhunt report`: a stored run, rendered again. Measures nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import STORE, RunArgument, StoreOption, WideOption
from perfhunt.errors import UsageError


def report(
    run: RunArgument = "last",
    form: Annotated[
        str, typer.Option("--format", "-F", help="One of the formats that --list names.")
    ] = "terminal",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here instead of to stdout.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the formats.")] = False,
    wide: WideOption = False,
    store: StoreOption = STORE,
) -> None:
    """Render a stored run again, in any format; nothing is measured."""
    from perfhunt.cli.view.results import screen_of
    from perfhunt.jobs.stored.page import stored_page
    from perfhunt.jobs.stored.run import load_run
    from perfhunt.reports.format import FORMATS
    from perfhunt.store.files import write_atomic

    if listing:
        for name, each in FORMATS.items():
            console.out(f"{name:<17} {each.help}")
        return
    if form not in FORMATS:
        raise UsageError(f"there is no format {form!r}", f"Formats: {', '.join(FORMATS)}")
    if form == "html":
        text = stored_page(run, store)
    elif form == "terminal" and (wide or output is None):
        text = screen_of(load_run(run, store), store, wide=wide)
    else:
        text = FORMATS[form].render(load_run(run, store))
    if output is not None:
        write_atomic(output, text)
        console.note(f"written: {console.shown_path(output)}")
    elif FORMATS[form].file_name.endswith(".json"):
        console.rendered_json(text)
    else:
        console.rendered(text)
