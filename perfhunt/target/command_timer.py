"""Runs a command and says what it took: wall clock, CPU and peak memory of the process and the
children it waited for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from perfhunt.errors import PerfhuntError, UsageError
from perfhunt.model.text.escaping import visible
from perfhunt.model.units import Seconds
from perfhunt.model.verdict.command_run import CommandRun
from perfhunt.target.drained_pipe import DrainedPipe
from perfhunt.target.launch import run_prepare
from perfhunt.target.leash import spawn


@dataclass(frozen=True, slots=True)
class Command:
    """One version of a command: its words, where it runs, and what is done before each run (not
    timed).
    """

    name: str
    words: tuple[str, ...]
    directory: Path | None = None
    prepare: tuple[str, ...] = ()


def time_command(command: Command, timeout: Seconds | None = None) -> CommandRun:
    """One run, what it prints read through a pipe; its keeper keeps time, from the fork to the
    wait. What it leaves running ends with this process.

    Raises UsageError when it cannot be started or prepared, and PerfhuntError on a timeout.
    """
    run_prepare(command.name, command.prepare, command.directory)
    output = DrainedPipe()
    try:
        child = spawn(command.words, output.writer, directory=command.directory)
    except OSError as error:
        raise UsageError(
            f"`{' '.join(command.words)}` cannot be started: {error.strerror}"
        ) from error
    finally:
        output.started()
    try:
        if child.wait(timeout) is None:
            raise PerfhuntError(
                f"`{command.name}` ran longer than {timeout:g} s",
                "raise --timeout, or give it less to do",
            )
    finally:
        # Also on Ctrl-C: its session is not ours, so the terminal's signal never reached it.
        if child.ended is None:
            child.end(0.0)
    child.leave()
    assert child.ended is not None
    return CommandRun(
        wall=child.ended.wall,
        user=child.ended.user,
        system=child.ended.system,
        peak_rss=child.ended.peak,
        exit_code=child.ended.code,
        said=visible(output.last_line()) if child.ended.code else "",
    )
