"""Runs of a command: what each one took."""

from __future__ import annotations

from dataclasses import dataclass

from perfhunt.model.units import Bytes, Seconds


@dataclass(frozen=True, slots=True)
class CommandRun:
    """One run of a command: what it took. `exit_code` other than 0 (negative: a signal's number)
    makes it no measurement; `said` is what it printed last then, line by line, to standard error if
    it wrote there. `left`: something that it started went on. None: not read.
    """

    wall: Seconds
    user: Seconds | None = None
    system: Seconds | None = None
    peak_rss: Bytes | None = None
    exit_code: int = 0
    said: str = ""
    left: bool = False

    @property
    def cpu(self) -> Seconds | None:
        """CPU time of the process and the children it waited for."""
        if self.user is None or self.system is None:
            return None
        return self.user + self.system


@dataclass(frozen=True, slots=True)
class CommandRuns:
    """Every run of one version of a command, in the order they were made. `name` is the command or
    the revision; `parameters` are the names and values that were put into it.
    """

    name: str
    runs: tuple[CommandRun, ...]
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def measured(self) -> tuple[CommandRun, ...]:
        """The runs that did not fail."""
        return tuple(run for run in self.runs if not run.exit_code)
