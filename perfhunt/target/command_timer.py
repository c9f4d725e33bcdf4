"""Runs a command and says what it took: wall clock, CPU and peak memory of the process and the
children it waited for.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from perfhunt.errors import CommandOverran, UsageError
from perfhunt.model.text.escaping import visible
from perfhunt.model.units import Seconds
from perfhunt.model.verdict.command_run import CommandRun
from perfhunt.target.drained_pipe import DrainedPipe
from perfhunt.target.launch import run_prepare
from perfhunt.target.leash import KeptCommand, spawn

_LAST_LINES = 5  # of what a run that failed printed: the end of a traceback


@dataclass(frozen=True, slots=True)
class Command:
    """One version of a command: its words, where it runs, and what is done before and after each
    run (not timed). `output` is where its standard output goes, None a pipe that is read;
    `parameters` are the names and values that were put into it.
    """

    name: str
    words: tuple[str, ...]
    directory: Path | None = None
    prepare: tuple[str, ...] = ()
    cleanup: tuple[str, ...] = ()
    output: Path | None = None
    parameters: tuple[tuple[str, str], ...] = ()


def time_command(command: Command, timeout: Seconds | None = None) -> CommandRun:
    """One run, what it prints read through pipes; its keeper keeps time, from its execve(2) to the
    wait. What it leaves running ends with this process.

    Raises UsageError when it cannot be started or prepared, and CommandOverran on a timeout.
    """
    run_prepare(command.name, command.prepare, command.directory)
    child, printed = _started(command)
    try:
        if child.wait(timeout) is None:
            raise CommandOverran(
                f"`{command.name}` ran longer than {timeout:g} s",
                "raise --timeout, or give it less to do",
            )
    finally:
        # Also on Ctrl-C: its session is not ours, so the terminal's signal never reached it.
        if child.ended is None:
            child.end(0.0)
    left = child.leave()
    assert child.ended is not None
    return CommandRun(
        wall=child.ended.wall,
        user=child.ended.user,
        system=child.ended.system,
        peak_rss=child.ended.peak,
        exit_code=child.ended.code,
        said=_last_words(printed) if child.ended.code else "",
        left=left,
    )


def _started(command: Command) -> tuple[KeptCommand, list[DrainedPipe]]:
    """The command, and the pipes that it prints into, standard error first."""
    with ExitStack() as ours:
        if command.output is not None:
            sink = open_output(command.output)
            ours.callback(os.close, sink)
        printed = [DrainedPipe() for _ in range(1 if command.output is not None else 2)]
        for pipe in printed:
            ours.callback(pipe.started)
        if command.output is None:
            sink = printed[1].writer
        try:
            errors = printed[0].writer
            return spawn(command.words, sink, errors=errors, directory=command.directory), printed
        except OSError as error:
            hint = "Is it a program that you may run, and in PATH?"
            if any(char.isspace() for char in command.words[0]):
                hint = "A line for a shell needs one: perfhunt bench -- sh -c 'COMMAND | COMMAND'"
            raise UsageError(
                f"`{' '.join(command.words)}` cannot be started: {error.strerror}", hint
            ) from error


def open_output(path: Path) -> int:
    """A descriptor of the file, emptied, for what a command prints. Raises UsageError when it
    cannot be written.
    """
    try:
        # A named pipe that nobody reads is an error, and not waited for.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o666)
    except OSError as error:
        raise UsageError(
            f"--output {path} cannot be written: {error.strerror}",
            "Name a file in a directory that exists, or leave it out: output is read by a pipe.",
        ) from error
    os.set_blocking(descriptor, True)
    return descriptor


def is_null(path: Path) -> bool:
    """Whether what is written there goes nowhere: the null device, by any name."""
    try:
        found = path.stat()
    except OSError:
        return False
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == os.stat(os.devnull).st_rdev


def _last_words(printed: list[DrainedPipe]) -> str:
    for pipe in printed:
        if lines := pipe.last_lines(_LAST_LINES):
            return "\n".join(map(visible, lines))
    return ""
