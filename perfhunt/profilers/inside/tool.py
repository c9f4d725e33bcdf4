"""The seam to tools that look from inside: what one must do, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from perfhunt.model.inside.look import InsideTool, LineUse, RequestTime
from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Seconds, Share
from perfhunt.target.launch import ServiceCommand


@dataclass(frozen=True, slots=True)
class Sight:
    """What a tool saw: as `model.inside.look.InsideLook` has it. `record` is its own record, to be
    kept; None where it holds what nobody should keep.
    """

    lines: tuple[LineUse, ...] = ()
    request: RequestTime | None = None
    missing: str = ""
    notes: tuple[str, ...] = field(default=())
    record: bytes | None = None


class InsideProfiler(Protocol):
    """A tool that a service is started under. One instance serves one start.

    Each method raises AttachFailed where the tool cannot do its work.
    """

    name: ClassVar[InsideTool]
    help: ClassVar[str]
    share: ClassVar[Share]  # of the rate held: what the service still takes under it
    windows: ClassVar[int]  # of the load, with a `mark` after each
    grace: ClassVar[Seconds]  # for the service to end in

    def __init__(self, directory: Path) -> None:
        """`directory` is empty, and the tool's own."""

    def under(self, command: ServiceCommand) -> ServiceCommand:
        """The command that starts the service under the tool."""

    def begin(self, target: TargetProcess) -> None:
        """The service is up and warm; load that counts is about to begin."""

    def mark(self) -> None:
        """A window of the load has ended."""

    def take(self) -> None:
        """The load is off, and the service still lives."""

    def sight(self, completed: float, seconds: Seconds) -> Sight:
        """What was seen, once the service has ended: of so many requests in so many seconds."""
