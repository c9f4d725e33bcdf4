"""The whole job on the bundled shop: a copy of it, started, investigated, ended."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from perfhunt.change.git.create import new_repository
from perfhunt.demo.workspace import copy_shop
from perfhunt.errors import PerfhuntError, UsageError
from perfhunt.jobs.investigate import run_investigation
from perfhunt.jobs.request import InvestigateRequest
from perfhunt.model.run import EventWatcher, Run, unwatched
from perfhunt.model.units import Seconds
from perfhunt.target.launch import Launched, ServiceCommand, free_port, healthy, running

# The shop fills its database on the first start, which takes some seconds on a slow disk.
READY_WITHIN: Seconds = 20.0
# The port that the shop's own perfhunt.toml names.
USUAL_PORT = 8000
LOG = "shop.log"
SERVE = (sys.executable, "-m", "gunicorn", "shop.app:application")


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """Where the shop's working copy goes, and its port (None: 8000, or a free one)."""

    directory: Path = Path("perfhunt-demo")
    port: int | None = None


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The run, and the store it is kept in."""

    run: Run
    store: Path


def run_demo(request: DemoRequest, watch: EventWatcher = unwatched) -> DemoResult:
    """The run of an investigation of the shop. Takes under three minutes, in the copy's directory.

    Raises UsageError, PerfhuntError.
    """
    with shop(request) as service, chdir(service.command.directory):
        asked = InvestigateRequest(pid=service.pid, url=service.url)
        store = service.command.directory / asked.store
        run = run_investigation(replace(asked, store=store), watch)
    return DemoResult(run, store)


@contextmanager
def shop(request: DemoRequest) -> Iterator[Launched]:
    """The shop, answering at its url; ended with everything it started.

    Raises UsageError when gunicorn is missing or the directory holds something else, PerfhuntError
    when the shop does not start.
    """
    if importlib.util.find_spec("gunicorn") is None:
        raise UsageError(
            "the demo's shop is served by gunicorn, which is not installed here",
            "pip install 'perfhunt[demo]'",
        )
    home = request.directory.resolve()
    if copy_shop(home):
        new_repository(home, "The shop as it is")
    command = ServiceCommand(name="the demo's shop", words=SERVE, directory=home)
    port = request.port or free_port(USUAL_PORT)
    with ExitStack() as held:
        try:
            service = held.enter_context(
                running(command, home / LOG, port, READY_WITHIN, ready=healthy("/health"))
            )
        except UsageError as error:
            # The command is our own, so that it does not start is no mistake of the user's.
            raise PerfhuntError(error.message, f"{error.hint}\nIts log: {home / LOG}") from error
        yield service
