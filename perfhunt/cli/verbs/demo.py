"""`perfhunt demo`: the whole job on the bundled shop."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import JsonOption, QuietOption


def demo(
    directory: Annotated[
        Path, typer.Option("--directory", "-d", help="Where the shop's working copy goes.")
    ] = Path("perfhunt-demo"),
    port: Annotated[
        int | None, typer.Option("--port", help="The shop's port [default: 8000, or a free one].")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Only start the shop and leave it in the foreground.")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Start the bundled shop, investigate it, and say where the report is. Takes under three
    minutes.
    """
    from perfhunt.cli.view.results import show_run
    from perfhunt.cli.view.watchers import watching
    from perfhunt.demo.workspace import PATCH
    from perfhunt.jobs.demo import DemoRequest, run_demo, shop

    request = DemoRequest(directory, port)
    if serve:
        with shop(request) as service:
            console.out(f"the shop is at {service.url} (pid {service.pid}); Ctrl-C ends it")
            signal.sigwait({signal.SIGINT, signal.SIGTERM})
        return
    # The demo did its job when the investigation came to an end, whatever the shop's SLO says of
    # it, so the exit code is not the run's.
    with watching(as_json=as_json, quiet=quiet) as watch:
        result = run_demo(request, watch)
    after = (
        "",
        "That was the demo: the SLO is missed, and the report says why. Try the loop on it:",
        f"  cd {console.shown_path(directory)} && git apply {PATCH}",
        f"  {_perfhunt()} verify --base HEAD -- {_python()} -m gunicorn shop.app:application",
    )
    show_run(result.run, result.store, as_json=as_json, quiet=quiet, after=after)


def _perfhunt() -> str:
    """How a shell here would start this perfhunt, in whatever directory."""
    program = Path(sys.executable).with_name("perfhunt")
    found = shutil.which("perfhunt")
    if found is not None and Path(found).resolve() == program.resolve():
        return "perfhunt"
    return shlex.quote(str(program)) if program.exists() else f"{_python()} -m perfhunt"


def _python() -> str:
    """How a shell here would start this interpreter: `python` in an active virtual environment,
    else its full path.
    """
    python = shutil.which("python")
    if python is None:
        return shlex.quote(sys.executable)
    same = Path(python).parent.resolve() == Path(sys.executable).parent.resolve()
    return "python" if same else shlex.quote(sys.executable)
