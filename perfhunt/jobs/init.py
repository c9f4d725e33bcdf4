"""A test file for a live service, or for traffic that was recorded, with the SLO's numbers left
for a person to choose.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from perfhunt.errors import Unreadable, UsageError
from perfhunt.jobs.request import one_service
from perfhunt.model.recorded.access_log import read_access_log
from perfhunt.model.recorded.curl import read_curl
from perfhunt.model.recorded.har import read_har
from perfhunt.model.recorded.k6.script import k6_traffic
from perfhunt.model.recorded.openapi.operations import openapi_traffic
from perfhunt.model.recorded.traffic import RecordedTraffic, traffic_of
from perfhunt.model.recorded.vegeta import read_vegeta
from perfhunt.model.run import TargetProcess
from perfhunt.store.files import regular_bytes, write_atomic
from perfhunt.store.init_file import init_text
from perfhunt.target.address import local_url
from perfhunt.target.find import find_target


class RecordedAs(StrEnum):
    """What traffic can be read from."""

    HAR = "har"
    CURL = "curl"
    VEGETA = "vegeta"
    LOG = "log"
    OPENAPI = "openapi"
    K6 = "k6"


# Each is given the text, the stem of the names of feeds, and the name of the file.
_READERS: Mapping[RecordedAs, Callable[[str, str, str], RecordedTraffic]] = {
    RecordedAs.HAR: lambda text, stem, _: traffic_of(read_har(text), stem),
    RecordedAs.CURL: lambda text, stem, _: traffic_of(read_curl(text), stem),
    RecordedAs.VEGETA: lambda text, stem, _: traffic_of(read_vegeta(text), stem),
    RecordedAs.LOG: lambda text, stem, _: traffic_of(read_access_log(text), stem),
    RecordedAs.OPENAPI: lambda text, stem, _: openapi_traffic(text, stem),
    RecordedAs.K6: k6_traffic,
}


_FORMATS = "What each of them is read as: docs/traffic.md. Nothing was written."


@dataclass(frozen=True, slots=True)
class InitRequest:
    """Which service, by pid or by port, and where its test file goes. `recorded` is what its
    traffic is read from: a file's path by its format, of curl the command itself.
    """

    pid: int | None = None
    port: int | None = None
    output: Path = Path("perfhunt.toml")
    force: bool = False
    recorded: Mapping[RecordedAs, str] | None = None


@dataclass(frozen=True, slots=True)
class Initialised:
    """The live service that a test file was written for (None: for recorded traffic alone), and the
    traffic that was read.
    """

    target: TargetProcess | None
    traffic: RecordedTraffic | None


def run_init(request: InitRequest) -> Initialised:
    """Writes a test file, and feeds beside it; nothing is sent to the service. Raises UsageError,
    TargetNotFound, StoreError.
    """
    recorded = dict(request.recorded or {})
    if len(recorded) > 1:
        options = " and ".join(f"--from-{kind}" for kind in recorded)
        raise UsageError(f"{options} are both given", "Traffic is read from one of them.")
    traffic = None
    for kind, source in recorded.items():
        traffic = _recorded(kind, source, request.output)
    target = None
    if traffic is None or request.pid is not None or request.port is not None:
        target = find_target(one_service("init", request.pid, request.port))
    feeds = {request.output.parent / name: text for name, text in _feeds(traffic).items()}
    for path in (request.output, *feeds):
        if path.exists() and not request.force:
            raise UsageError(
                f"{path} exists already",
                f"Edit it, or replace it: perfhunt init --force --output {request.output} ...",
            )
    for path, text in feeds.items():
        write_atomic(path, text)
    at = local_url(target, request.port) if target is not None else ""
    write_atomic(request.output, init_text(target, request.port, traffic, at))
    return Initialised(target, traffic)


def _feeds(traffic: RecordedTraffic | None) -> Mapping[str, str]:
    return traffic.feeds if traffic is not None else {}


def _recorded(kind: RecordedAs, source: str, output: Path) -> RecordedTraffic:
    try:
        text = source
        if kind is not RecordedAs.CURL:
            text = regular_bytes(Path(source)).decode("utf-8", "replace")
        # As the test file would name it, whose paths start from its own directory.
        beside = source if os.path.isabs(source) else os.path.relpath(source, output.parent)
        return _READERS[kind](text, output.stem, beside)
    except OSError as error:
        raise UsageError(
            f"{source} cannot be read: {error.strerror}", f"--from-{kind} takes the path of a file."
        ) from None
    except Unreadable as error:
        what = "--from-curl" if kind is RecordedAs.CURL else source
        raise UsageError(f"{what}: {error.message}", error.hint or _FORMATS) from None
