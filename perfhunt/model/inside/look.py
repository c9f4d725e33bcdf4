"""A launched service, and what a tool inside of it saw in a span of its own: lines, memory, the
time of a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from perfhunt.model.finding import ProbeEffect
from perfhunt.model.units import Bytes, PerSecond, Seconds, Share


class InsideTool(StrEnum):
    """What a service can be started under."""

    SCALENE = "scalene"
    PYINSTRUMENT = "pyinstrument"
    TRACEMALLOC = "tracemalloc"


@dataclass(frozen=True, slots=True)
class StartedService:
    """How the target was started: the words of its command, where, and after how long it took
    requests.
    """

    command: tuple[str, ...]
    directory: str
    ready: Seconds


@dataclass(frozen=True, slots=True)
class LineUse:
    """What one line of the target's code was seen to use; None: not looked at, or not to be
    believed.

    `python`, `native` and `system` are shares of the time that the tool saw in lines of this code,
    where `system` is also what they waited for; `allocated` and
    `copied` are bytes per second. `held` are the bytes allocated there that were added, and not
    given back, in each window of equal length; `leak`: they grew in every one. `running` and
    `awaiting` are seconds of a request.
    """

    file: str
    line: int | None
    function: str
    python: Share | None = None
    native: Share | None = None
    system: Share | None = None
    allocated: float | None = None
    copied: float | None = None
    held: tuple[Bytes, ...] = ()
    leak: bool = False
    running: Seconds | None = None
    awaiting: Seconds | None = None

    @property
    def cpu(self) -> Share:
        """All of its shares; 0 where nobody looked."""
        return (self.python or 0.0) + (self.native or 0.0) + (self.system or 0.0)


@dataclass(frozen=True, slots=True)
class RequestTime:
    """The requests whose calls were followed: what handled them, how many, how long one took."""

    function: str
    n: int
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class InsideLook:
    """What one tool saw at `rate`, over `seconds` under load, and what it cost (`effect`, None
    where nothing was measured).

    `missing` is why there is nothing, or nothing to be believed; `notes` what it could not see.
    `file` is the tool's own record in the run directory, "" where none is kept.
    """

    tool: InsideTool
    rate: PerSecond
    seconds: Seconds
    effect: ProbeEffect | None = None
    lines: tuple[LineUse, ...] = ()
    request: RequestTime | None = None
    missing: str = ""
    notes: tuple[str, ...] = ()
    file: str = ""
