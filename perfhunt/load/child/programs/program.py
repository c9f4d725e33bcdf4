"""What every load program is to this process: how it is started for a step, and who reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from perfhunt.load.child.http.address import ServerAddress
from perfhunt.load.child.programs.log import ArrivalLog, ProgramPlan
from perfhunt.load.child.sender import SendCounts
from perfhunt.load.render import Payloads
from perfhunt.model.question import Question
from perfhunt.model.units import Seconds

# Variables that would have a program do otherwise than it is told, or send through another host.
_OTHERWISE = ("k6_", "http_proxy", "https_proxy", "all_proxy", "no_proxy")
OUTPUT = "{output}"  # in a command: where the program is to write what is read here


@dataclass(frozen=True, slots=True)
class ProgramCommand:
    """A program's command line, or several in a pipeline; the first has `given` on its standard
    input. What is read is the last one's standard output, or what is written to OUTPUT.
    """

    stages: tuple[tuple[str, ...], ...]
    given: bytes = b""
    directory: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProgramTraffic:
    """What a program is to send, and where to."""

    question: Question
    address: ServerAddress
    payloads: Sequence[Payloads]  # of [[traffic]]; empty where a script brings its own
    environment: Mapping[str, str]


class OutputReader(Protocol):
    """Reads a program's output of one step, line by line, into the log it was given."""

    paused: Seconds  # the longest that an arrival that is over did something else than wait

    @property
    def unread(self) -> int:
        """Lines so far that are none of the program's."""

    def read(self, line: bytes) -> None:
        """One line, without its end."""


class LoadProgram(Protocol):
    """A program that makes load."""

    routes: tuple[str, ...]
    weights: tuple[float, ...]
    remarks: tuple[str, ...]
    startup: Seconds  # from its start to its first arrival, about; infinite where it says so itself
    codes: Mapping[int, str]  # what its exit codes mean

    def command(self, plan: ProgramPlan) -> ProgramCommand:
        """How it is started for a step."""

    def reader(self, plan: ProgramPlan, log: ArrivalLog, counts: SendCounts) -> OutputReader:
        """Who reads what it says meanwhile."""


# Programs in Go collect garbage when their heap has grown by so many percent, 100 unless told. At
# that k6 was late by up to 50 ms in its first second at 1,000/s, on one core: its users' runtimes
# are many small objects.
_GOGC = "400"
# k6 would have a program with the extensions that a script names built elsewhere, and run that.
_OFFLINE = {"K6_AUTO_EXTENSION_RESOLUTION": "false"}


def plain_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program: without proxies, and without words for the program itself."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.lower().startswith(_OTHERWISE)
    }
    return {"GOGC": _GOGC, **_OFFLINE, **kept}


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """A rendered request, taken apart again for programs that put requests together themselves."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


# Headers that a program sets by itself, from the body and its own ways.
_ITS_OWN = ("content-length", "connection")


def plain_request(payload: bytes) -> PlainRequest:
    """The parts of a request as `load.render` makes it."""
    head, _, body = payload.partition(b"\r\n\r\n")
    first, *lines = head.decode("utf-8").split("\r\n")
    method, path, _ = first.split(" ")
    headers = [line.split(": ", 1) for line in lines]
    return PlainRequest(
        method,
        path,
        tuple((name, value) for name, value in headers if name.lower() not in _ITS_OWN),
        body,
    )


def script_directory(path: str) -> str:
    """Where a script lies, and so what its relative paths start from."""
    return os.path.dirname(os.path.abspath(path))
