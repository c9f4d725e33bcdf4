"""`perfhunt worker`: this host's cores for a load that another host commands."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from perfhunt.cli.options import SecretOption


def worker(
    master: Annotated[
        str, typer.Option("--master", help="HOST:PORT of the perfhunt that commands the load.")
    ],
    secret: SecretOption = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="Where load may go: a name, *.name or address. Repeat."),
    ] = None,
    allow_file: Annotated[
        list[str] | None,
        typer.Option("--allow-file", help="A feed, locustfile or folder it may use. Repeat."),
    ] = None,
    max_rate: Annotated[
        str, typer.Option("--max-rate", help="What this worker sends at the most.")
    ] = "5000/s",
) -> None:
    """Lend this host to a load that another host commands, until that one is done.

    It waits five minutes for `perfhunt investigate --bind HOST:PORT --workers N` on that host. Both
    must know one secret and be of one version. Nothing is done for a master beyond what is allowed
    here; loopback is, for a master on this machine.

    Exit codes: 0 the master has ended; 1 there was none, or none that may be; 2 usage; 105 stopped
    by a signal.
    """
    from perfhunt.errors import UsageError
    from perfhunt.load.trust.address import master_address
    from perfhunt.load.trust.grant import WorkerGrant
    from perfhunt.load.trust.secret import find_secret
    from perfhunt.load.worker import serve_master
    from perfhunt.model.units import UnitError, parse_rate

    address = master_address(master)
    try:
        most = parse_rate(max_rate)
    except UnitError as error:
        raise UsageError(f"--max-rate: {error}") from error
    grant = WorkerGrant(hosts=tuple(allow_host or ()), files=tuple(allow_file or ()), max_rate=most)
    # The master's own user, on the master's own host, has the same.
    known = find_secret(secret, os.environ, make=address.on_this_machine)
    raise typer.Exit(serve_master(address, known, grant))
