"""Runs a command and says what it took: wall clock, CPU and peak memory of the process and the
children it waited for.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from perfhunt.errors import PerfhuntError, UsageError
from perfhunt.model.units import Bytes, Seconds
from perfhunt.model.verdict.command_run import CommandRun
from perfhunt.target.launch import run_prepare

# The unit of ru_maxrss: bytes on macOS, KiB on Linux (getrusage(2)).
_PEAK_UNIT: Bytes = 1 if sys.platform == "darwin" else 1024
_POLL: Seconds = 0.001  # waiting with a timeout is late by this much at most


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
    """One run, output thrown away. Raises UsageError when it cannot be started or prepared, and
    PerfhuntError on a timeout.
    """
    run_prepare(command.name, command.prepare, command.directory)
    began = time.perf_counter()
    try:
        child = subprocess.Popen(
            command.words,
            cwd=command.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise UsageError(
            f"`{' '.join(command.words)}` cannot be started: {error.strerror}"
        ) from error
    try:
        status, usage = _reap(child.pid, began, timeout, command.name)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
    finally:
        # Also on Ctrl-C: its session is not ours, so the terminal's signal never reached it.
        if child.returncode is None:
            _kill(child)
    return CommandRun(
        wall=wall,
        user=usage.ru_utime,
        system=usage.ru_stime,
        peak_rss=_peak(usage),
        exit_code=child.returncode,
    )


def _peak(usage: resource.struct_rusage) -> Bytes | None:
    """The child's peak memory; None when it never rose above our own.

    Linux carries the high-water mark of the process that forked through exec (fs/exec.c,
    exec_mmap), so a smaller peak of the command itself cannot be seen.
    """
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage.ru_maxrss * _PEAK_UNIT if usage.ru_maxrss > ours else None


def _reap(
    pid: int, began: Seconds, timeout: Seconds | None, name: str
) -> tuple[int, resource.struct_rusage]:
    """The child's exit status and usage. Raises PerfhuntError when it takes too long."""
    if timeout is None:
        # A blocking wait wakes at once; polling would add its own period to every reading.
        _, status, usage = os.wait4(pid, 0)
        return status, usage
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return status, usage
        if time.perf_counter() - began > timeout:
            raise PerfhuntError(
                f"`{name}` ran longer than {timeout:g} s", "raise --timeout, or give it less to do"
            )
        time.sleep(_POLL)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child's whole group and collect it, so that nothing is left running or unreaped."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
    child.returncode = -signal.SIGKILL
