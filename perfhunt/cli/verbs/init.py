"""`perfhunt init`: a test file for a live service, or for traffic that was recorded."""

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
    har: Annotated[
        Path | None, typer.Option("--from-har", help="Traffic from a browser's HTTP archive.")
    ] = None,
    curl: Annotated[
        str | None,
        typer.Option("--from-curl", help="Traffic from curl commands (Copy as cURL)."),
    ] = None,
    vegeta: Annotated[
        Path | None, typer.Option("--from-vegeta", help="Traffic from vegeta's target list.")
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option("--from-log", help="GET requests of an access log, weighted by their counts."),
    ] = None,
    openapi: Annotated[
        Path | None,
        typer.Option("--from-openapi", help="Operations of an OpenAPI or Swagger document."),
    ] = None,
    k6: Annotated[
        Path | None, typer.Option("--from-k6", help="Requests of a k6 script, which is not run.")
    ] = None,
) -> None:
    """Look at a live process and write a perfhunt.toml for it. Nothing is sent to the service."""
    from perfhunt.jobs.init import InitRequest, RecordedAs, run_init

    given = {
        RecordedAs.HAR: har,
        RecordedAs.CURL: curl,
        RecordedAs.VEGETA: vegeta,
        RecordedAs.LOG: log,
        RecordedAs.OPENAPI: openapi,
        RecordedAs.K6: k6,
    }
    recorded = {kind: str(source) for kind, source in given.items() if source is not None}
    done = run_init(InitRequest(pid, port, output, force, recorded))
    if done.target is not None:
        place = f"port {port}" if port else done.target.listeners[0].place
        console.out(f"wrote {output} for pid {done.target.root} on {place}")
    elif done.traffic is not None:
        console.out(f"wrote {output} for {done.traffic.origin or 'traffic without a host'}")
    if done.traffic is not None:
        for told in (
            *(f"wrote {name} beside it" for name in done.traffic.feeds),
            *done.traffic.notes,
        ):
            console.out(told)
    console.out(f"Now choose the numbers of the SLO in it, then: {done.then}")
