"""A test file for a live service, with the SLO's numbers left for a person to choose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from perfhunt.errors import UsageError
from perfhunt.jobs.request import one_service
from perfhunt.model.run import TargetProcess
from perfhunt.store.files import write_atomic
from perfhunt.store.init_file import init_text
from perfhunt.target.find import find_target


@dataclass(frozen=True, slots=True)
class InitRequest:
    """Which service, by pid or by port, and where its test file goes."""

    pid: int | None = None
    port: int | None = None
    output: Path = Path("perfhunt.toml")
    force: bool = False


def run_init(request: InitRequest) -> TargetProcess:
    """The live service that a test file was written for; nothing was sent to it. Raises UsageError,
    TargetNotFound, StoreError.
    """
    service = one_service("init", request.pid, request.port)
    if request.output.exists() and not request.force:
        raise UsageError(
            f"{request.output} exists already",
            f"Edit it, or replace it: perfhunt init --force --output {request.output} ...",
        )
    target = find_target(service)
    write_atomic(request.output, init_text(target, request.port))
    return target
