"""`perfhunt init`: a test file for a live service, with the SLO's numbers left for a person to
choose.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import PidOption, PortOption
from perfhunt.errors import UsageError


def init(
    pid: PidOption = None,
    port: PortOption = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path(
        "perfhunt.toml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Look at a live process and write a perfhunt.toml for it. Nothing is sent to the service."""
    from perfhunt.model.question import ProcessSelector
    from perfhunt.store.files import write_atomic
    from perfhunt.store.init_file import init_text
    from perfhunt.target.find import find_target

    if (pid is None) == (port is None):
        raise UsageError(
            "init needs one live service",
            "perfhunt init --pid PID, or --port N; what listens here: ss -ltnp",
        )
    if output.exists() and not force:
        raise UsageError(
            f"{output} exists already",
            f"Edit it, or replace it: perfhunt init --force --output {output} ...",
        )
    target = find_target(ProcessSelector(pid=pid, port=port))
    write_atomic(output, init_text(target, port))
    console.out(f"wrote {output} for pid {target.root} on port {target.listeners[0].port}")
    console.out(
        f"Now choose the numbers of the SLO in it, then: perfhunt investigate --pid {target.root}"
    )
