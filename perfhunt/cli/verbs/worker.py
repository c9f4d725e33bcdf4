"""`perfhunt worker`: this host's cores for a load that another host commands."""

from __future__ import annotations

from typing import Annotated

import typer


def worker(
    master: Annotated[
        str, typer.Option("--master", help="HOST:PORT of the perfhunt that commands the load.")
    ],
) -> None:
    """Lend this host to a load that another host commands, until that one is done."""
    from perfhunt.load.worker import serve_master

    raise typer.Exit(serve_master(master))
