"""A test file for a live service, or for traffic that was recorded, with the SLO's numbers left
for a person to choose.
"""

from __future__ import annotations

import codecs
import os
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from perfhunt.errors import Unreadable, UsageError
from perfhunt.jobs.request import one_service
from perfhunt.model.document.bounded import unzipped
from perfhunt.model.recorded.access_log import read_access_log
from perfhunt.model.recorded.curl import read_curl
from perfhunt.model.recorded.har import read_har
from perfhunt.model.recorded.k6.script import k6_traffic
from perfhunt.model.recorded.openapi.operations import openapi_traffic
from perfhunt.model.recorded.request import LeftOut, RecordedRequest
from perfhunt.model.recorded.traffic import RecordedTraffic, traffic_of
from perfhunt.model.recorded.vegeta import read_vegeta
from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Bytes
from perfhunt.store.files import LARGEST, first_bytes, regular_bytes, write_atomic
from perfhunt.store.init_file import init_text, next_command
from perfhunt.target.address import beside, local_url
from perfhunt.target.find import find_target


class RecordedAs(StrEnum):
    """What traffic can be read from."""

    HAR = "har"
    CURL = "curl"
    VEGETA = "vegeta"
    LOG = "log"
    OPENAPI = "openapi"
    K6 = "k6"


_READERS: Mapping[RecordedAs, Callable[[str], Iterable[RecordedRequest | LeftOut]]] = {
    RecordedAs.HAR: read_har,
    RecordedAs.CURL: read_curl,
    RecordedAs.VEGETA: read_vegeta,
    RecordedAs.LOG: read_access_log,
}
# Those of what was written down: they are given the text, the stem of the names of feeds, and the
# name of the file.
_WRITTEN: Mapping[RecordedAs, Callable[[str, str, str], RecordedTraffic]] = {
    RecordedAs.OPENAPI: lambda text, stem, _: openapi_traffic(text, stem),
    RecordedAs.K6: k6_traffic,
}


_GZIP = b"\x1f\x8b"
_OF_LOG: Bytes = 128 << 20  # 200,000 lines, which are read, of 670 bytes each
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
    """The live service that a test file was written for (None: for recorded traffic alone), the
    traffic that was read, and the command that comes `then`.
    """

    target: TargetProcess | None
    traffic: RecordedTraffic | None
    then: str


def run_init(request: InitRequest) -> Initialised:
    """Writes a test file, and feeds beside it; nothing is sent to the service. Raises UsageError,
    TargetNotFound, StoreError.
    """
    recorded = dict(request.recorded or {})
    if len(recorded) > 1:
        options = " and ".join(f"--from-{kind}" for kind in recorded)
        raise UsageError(f"{options} are both given", "Traffic is read from one of them.")
    _check_place(request.output)
    if recorded and request.pid is None and request.port is None:
        return _initialised(request, recorded, None)
    named = one_service("init", request.pid, request.port)
    with beside(named, needed=False) as entered:
        return _initialised(request, recorded, find_target(named).noted(entered))


def _initialised(
    request: InitRequest, recorded: Mapping[RecordedAs, str], target: TargetProcess | None
) -> Initialised:
    service = _places(target, request.port)
    traffic = None
    for kind, source in recorded.items():
        traffic = _recorded(kind, source, request.output, service)
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
    text = init_text(target, request.port, traffic, at, str(request.output))
    write_atomic(request.output, text)
    return Initialised(target, traffic, next_command(target, str(request.output)))


def _feeds(traffic: RecordedTraffic | None) -> Mapping[str, str]:
    return traffic.feeds if traffic is not None else {}


def _check_place(output: Path) -> None:
    """Raises UsageError where no file can be written."""
    if output.is_dir():
        raise UsageError(
            f"--output {output} is a directory", f"Name the file: {output / 'perfhunt.toml'}"
        )
    if not output.parent.is_dir():
        raise UsageError(
            f"the directory {output.parent} does not exist",
            f"Make it, or write elsewhere: mkdir -p {shlex.quote(str(output.parent))}",
        )


def _places(target: TargetProcess | None, port: int | None) -> frozenset[tuple[str, int]]:
    """The hosts and ports that the service is reached at; this host's name among them."""
    listeners = target.listeners if target is not None else ()
    said = [at for at in listeners if port in (None, at.port)]
    return frozenset((host, at.port) for at in said for host in (at.host, "localhost"))


def _recorded(
    kind: RecordedAs, source: str, output: Path, service: Collection[tuple[str, int]]
) -> RecordedTraffic:
    option = f"--from-{kind}"
    if kind is not RecordedAs.CURL and Path(source).is_dir():
        raise UsageError(f"{option}: {source!r} is a directory", f"{option} takes a file's path.")
    try:
        if kind is RecordedAs.LOG:
            return _of_log(source, output.stem, service)
        text = source if kind is RecordedAs.CURL else _text(regular_bytes(Path(source)), source)
        if kind in _WRITTEN:
            # As the test file would name it, whose paths start from its own directory.
            beside = source if os.path.isabs(source) else os.path.relpath(source, output.parent)
            return _WRITTEN[kind](text, output.stem, beside)
        return traffic_of(_READERS[kind](text), output.stem, service)
    except OSError as error:
        raise UsageError(
            f"{source} cannot be read: {error.strerror}", f"{option} takes the path of a file."
        ) from None
    except Unreadable as error:
        what = option if kind is RecordedAs.CURL else source
        raise UsageError(f"{what}: {error.message}", error.hint or _FORMATS) from None


def _of_log(source: str, stem: str, service: Collection[tuple[str, int]]) -> RecordedTraffic:
    """The traffic of a log's beginning: a day of it may be larger than is read."""
    raw, more = first_bytes(Path(source), _OF_LOG)
    if more and not raw.startswith(_GZIP):
        raw = raw[: raw.rfind(b"\n") + 1]
    traffic = traffic_of(_READERS[RecordedAs.LOG](_text(raw, source)), stem, service)
    told = f"Of {source} the first {_OF_LOG >> 20} MiB were looked at."
    return traffic._replace(notes=(*traffic.notes, told)) if more else traffic


def _text(raw: bytes, what: str) -> str:
    """The text of a file, unpacked if it is gzip; bytes that are no UTF-8 as lone surrogates."""
    if raw.startswith(_GZIP):
        raw = unzipped(raw, LARGEST, what)
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", "replace")
    return raw.decode("utf-8", "surrogateescape")
