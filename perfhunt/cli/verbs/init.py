"""`perfhunt init`: a test file for a live service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import PidOption, PortOption


def init(
    pid: PidOption = None,
    port: PortOption = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path(
        "perfhunt.toml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Look at a live process and write a perfhunt.toml for it. Nothing is sent to the service."""
    from perfhunt.jobs.init import InitRequest, run_init

    target = run_init(InitRequest(pid, port, output, force))
    console.out(f"wrote {output} for pid {target.root} on port {target.listeners[0].port}")
    console.out(
        f"Now choose the numbers of the SLO in it, then: perfhunt investigate --pid {target.root}"
    )
