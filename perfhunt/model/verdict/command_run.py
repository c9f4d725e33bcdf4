"""Runs of a command: what each one took."""

from __future__ import annotations

from dataclasses import dataclass

from perfhunt.model.units import Bytes, Seconds


@dataclass(frozen=True, slots=True)
class CommandRun:
    """One run of a command: what it took. `exit_code` other than 0 makes it no measurement; `said`
    is what it printed last then. None: not read.
    """

    wall: Seconds
    user: Seconds | None = None
    system: Seconds | None = None
    peak_rss: Bytes | None = None
    exit_code: int = 0
    said: str = ""

    @property
    def cpu(self) -> Seconds | None:
        """CPU time of the process and the children it waited for."""
        if self.user is None or self.system is None:
            return None
        return self.user + self.system


@dataclass(frozen=True, slots=True)
class CommandRuns:
    """Every run of one version of a command, in the order they were made. `name` is the command or
    the revision.
    """

    name: str
    runs: tuple[CommandRun, ...]
