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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfhunt.analysis.verdict.bench import CommandRun, Timed
from perfhunt.errors import PerfhuntError, Stopped, UsageError
from perfhunt.model.units import Seconds

_PEAK_UNIT = (
    1 if sys.platform == "darwin" else 1024
)  # ru_maxrss: bytes on macOS, KiB on Linux (getrusage(2))
_POLL: Seconds = 0.001


@dataclass(frozen=True, slots=True)
class Command:
    """One version of a command: its words, where it runs, and what is done before each run (not
    timed).
    """

    name: str
    words: tuple[str, ...]
    directory: Path | None = None
    environment: Mapping[str, str] | None = None
    prepare: tuple[str, ...] = ()


def time_command(
    command: Command, timeout: Seconds | None = None, stop: Callable[[], str] = lambda: ""
) -> CommandRun:
    """One run, output thrown away. Raises UsageError when it cannot be started, Stopped, and
    PerfhuntError on a timeout.
    """
    if command.prepare:
        done = subprocess.run(
            command.prepare, cwd=command.directory, capture_output=True, check=False
        )
        if done.returncode != 0:
            tail = done.stderr.decode(errors="replace").strip()[-300:]
            raise UsageError(
                f"the prepare command of `{command.name}` failed with {done.returncode}", tail
            )
    began = time.perf_counter()
    try:
        child = subprocess.Popen(
            command.words,
            cwd=command.directory,
            env=dict(command.environment) if command.environment is not None else None,
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
        status, usage = _reap(child.pid, began, timeout, stop, command.name)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
    finally:
        if child.returncode is None:
            _kill(
                child
            )  # also on Ctrl-C: its session is not ours, so the terminal's signal never reached it
    return CommandRun(wall, usage.ru_utime, usage.ru_stime, _peak(usage), child.returncode)


def _peak(usage: resource.struct_rusage) -> int | None:
    """The child's peak memory in bytes; None when it never rose above our own.

    Linux carries the high-water mark of the process that forked through exec (fs/exec.c,
    exec_mmap), so a smaller peak of the command itself cannot be seen.
    """
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage.ru_maxrss * _PEAK_UNIT if usage.ru_maxrss > ours else None


def _reap(
    pid: int, began: Seconds, timeout: Seconds | None, stop: Callable[[], str], name: str
) -> tuple[int, resource.struct_rusage]:
    """The child's exit status and usage. Raises Stopped, or PerfhuntError when it takes too
    long.
    """
    if timeout is None:
        # A blocking wait wakes at once; polling would add its own period to every reading.
        _, status, usage = os.wait4(pid, 0)
        return status, usage
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return status, usage
        if why := stop():
            raise Stopped(why)
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


def interleave(
    base: Command,
    head: Command,
    runs: int,
    warmup: int = 1,
    timeout: Seconds | None = None,
    stop: Callable[[], str] = lambda: "",
    watch: Callable[[str, CommandRun], None] = lambda _name, _run: None,
) -> tuple[Timed, Timed]:
    """Both commands `runs` times in ABBA order, after `warmup` runs each that do not count."""
    for _ in range(warmup):
        for command in (base, head):
            time_command(command, timeout, stop)
    found: tuple[list[CommandRun], list[CommandRun]] = ([], [])
    for i in range(runs):
        for side in (0, 1) if i % 2 == 0 else (1, 0):
            if why := stop():
                raise Stopped(why)
            run = time_command((base, head)[side], timeout, stop)
            found[side].append(run)
            watch((base, head)[side].name, run)
    return Timed(base.name, tuple(found[0])), Timed(head.name, tuple(found[1]))


def measure(command: Command, runs: int, warmup: int = 1, timeout: Seconds | None = None) -> Timed:
    """One command alone, for a baseline."""
    for _ in range(warmup):
        time_command(command, timeout)
    return Timed(command.name, tuple(time_command(command, timeout) for _ in range(runs)))


def shell(text: str) -> Sequence[str]:
    """The words that run `text` in a shell, for commands given as one string."""
    return ("/bin/sh", "-c", text)
