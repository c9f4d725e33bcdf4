"""`perfhunt convert`: a profile of any tool in the format of another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import STORE, StoreOption, ValueOption
from perfhunt.errors import UsageError


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="[A]", help="A profile's file, `-`, a run, or RUN:SPAN (last:knee)."
        ),
    ] = "",
    target: Annotated[str, typer.Argument(metavar="[B]", help="The file to write, or `-`.")] = "-",
    source_format: Annotated[
        str, typer.Option("--from", help="The format of A [default: told from its content].")
    ] = "",
    target_format: Annotated[
        str, typer.Option("--to", help="The format of B [default: told from its suffix].")
    ] = "",
    value: ValueOption = "",
    listing: Annotated[
        bool, typer.Option("--list", help="List the formats, with what each keeps.")
    ] = False,
    store: StoreOption = STORE,
) -> None:
    """Convert a profile: perf, py-spy, Austin, async-profiler, JFR, Go, V8, rbspy, phpspy,
    pyinstrument, scalene, memray, Chrome traces; into folded stacks, speedscope, pprof, V8's
    cpuprofile, trace events, perf's text, Austin. What is not kept is said on stderr.
    """
    from perfhunt.jobs.profiles.convert import ConvertRequest, convert_profile
    from perfhunt.jobs.profiles.read import STREAM, formats_lines

    if listing:
        for line in formats_lines():
            console.out(line)
        return
    if not source:
        raise UsageError("name a profile to convert", "perfhunt convert A B; formats: --list")
    converted = convert_profile(
        ConvertRequest(
            source=source,
            target=target,
            source_format=source_format,
            target_format=target_format,
            value=value,
            store=store,
        )
    )
    for note in converted.notes:
        console.note(note)
    if target == STREAM:
        console.raw(converted.content)
    else:
        console.note(f"written: {Path(target)}")
