"""`perfhunt demo`: the whole job on the bundled shop."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import JsonOption, QuietOption
from perfhunt.errors import PerfhuntError, UsageError

READY_WITHIN = 20.0  # seconds
SERVE = [sys.executable, "-m", "gunicorn", "shop.app:application"]


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
    from perfhunt.cli.verbs.investigate import run_and_tell
    from perfhunt.demo.workspace import PATCH, prepare
    from perfhunt.jobs.setup import InvestigateRequest

    if importlib.util.find_spec("gunicorn") is None:
        raise UsageError(
            "the demo's shop is served by gunicorn, which is not installed here",
            "pip install 'perfhunt[demo]'",
        )
    home = prepare(directory).resolve()
    os.chdir(home)
    with shop(home, port or free_port(8000)) as (process, url):
        if serve:
            console.out(f"the shop is at {url} (pid {process.pid}); Ctrl-C ends it")
            signal.sigwait({signal.SIGINT, signal.SIGTERM})
            return
        code = run_and_tell(
            InvestigateRequest(pid=process.pid, url=url), as_json=as_json, quiet=quiet
        )
    if not (as_json or quiet):
        console.out(
            "\nThat was the demo: the SLO is missed, and the report says why. Try the loop on"
            f" it:\n  cd {directory} && git apply {PATCH}\n  perfhunt verify --base HEAD --"
            f" {_python()} -m gunicorn shop.app:application"
        )
    # The demo did its job when the investigation reached a verdict, whatever the shop's SLO says of
    # it.
    raise typer.Exit(0 if code in (0, 99, 91) else code)


def _python() -> str:
    """How a shell here would start this interpreter: `python` in an active virtual environment,
    else its full path.
    """
    found = shutil.which("python")
    same = (
        found is not None and Path(found).parent.resolve() == Path(sys.executable).parent.resolve()
    )
    return "python" if same else sys.executable


@contextmanager
def shop(home: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The shop, answering at the url that comes with it; ended with everything it started. Raises
    PerfhuntError.
    """
    url = f"http://127.0.0.1:{port}"
    log = home / "shop.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            SERVE,
            cwd=home,
            env={**os.environ, "PORT": str(port)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(process, port, log)
        yield process, url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port(preferred: int) -> int:
    """`preferred` if nothing listens there, else one that the system gives."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise PerfhuntError("no free port on 127.0.0.1", "Name one: perfhunt demo --port PORT")


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1.0) as probe:
                probe.sendall(b"GET /health HTTP/1.0\r\n\r\n")
                if b" 200 " in probe.recv(64):
                    return
        except OSError:
            pass
        time.sleep(0.05)
    said = log.read_text(errors="replace").strip().splitlines()[-3:]
    raise PerfhuntError(
        f"the demo's shop did not start: {' / '.join(said) or 'it said nothing'}", f"Its log: {log}"
    )
