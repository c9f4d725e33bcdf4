"""Options that several verbs share, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

STORE = Path(".perfhunt")

PidOption = Annotated[
    int | None,
    typer.Option("--pid", help="The service's process; its port and workers are found from it."),
]
PortOption = Annotated[
    int | None, typer.Option("--port", help="The port the service listens on, instead of its pid.")
]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", help="Where to send load, instead of the port that was found."),
]
TestFileOption = Annotated[
    Path | None,
    typer.Option(
        "--file",
        "-f",
        help="The test file [default: perfhunt.toml, or [tool.perfhunt] of pyproject.toml].",
    ),
]
StoreOption = Annotated[
    Path, typer.Option("--store", envvar="PERFHUNT_STORE", help="Where runs are kept.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Events as NDJSON on stdout; no view.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Only the verdict, in one line.")]
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="[RUN]", help="A run's id, the beginning of one, a directory, or `last`."
    ),
]
