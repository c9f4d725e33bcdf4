"""`perfhunt pack` and `perfhunt unpack`: a run as one file, for a cache or an artifact of CI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perfhunt.cli.options import STORE, RunArgument, StoreOption


def pack(
    run: RunArgument = "last",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write [default: standard output]."),
    ] = None,
    store: StoreOption = STORE,
) -> None:
    """Write a run as one file: perfhunt pack RUN > FILE. Equal runs give equal bytes; the store's
    key and other secrets are not in it.
    """
    import sys

    from perfhunt.cli import console
    from perfhunt.errors import UsageError
    from perfhunt.jobs.stored.pack import pack_run
    from perfhunt.store.files import write_atomic

    if output is None and sys.stdout.isatty():
        raise UsageError(
            "a pack is no text for a terminal", "perfhunt pack RUN > FILE, or --output FILE"
        )
    packed = pack_run(run, store)
    if output is None:
        console.raw(packed.content)
    else:
        write_atomic(output, packed.content)
    size = len(packed.content) / 2**20
    console.note(f"packed: {packed.run} ({size:.1f} MiB){f' as {output}' if output else ''}")


def unpack(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `perfhunt pack` wrote.")],
    store: StoreOption = STORE,
) -> None:
    """Bring a packed run into the store, as every verb takes it then. The whole run is there, or
    nothing.
    """
    from perfhunt.cli import console
    from perfhunt.jobs.stored.pack import unpack_run

    directory = unpack_run(file, store)
    console.out(f"unpacked: {directory}")
