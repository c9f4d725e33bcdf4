"""No profiler leaves its target stopped: what held it is noted before a capture, and undone after
it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from perfhunt.model.run import ProcessIdentity
from perfhunt.model.units import Seconds
from perfhunt.target.proc.process import identity, lives
from perfhunt.target.proc.threads import is_held, tracer

_PATIENCE: Seconds = 0.5  # for a tracer to let go, and again for a process to wake
_POLL: Seconds = 0.01


@dataclass(frozen=True, slots=True)
class CaptureTarget:
    """A process as it was before a capture: whether somebody else had stopped it already."""

    process: ProcessIdentity
    held: bool


def capture_targets(pids: Iterable[int]) -> tuple[CaptureTarget, ...]:
    """What `release` needs to know of the targets of a capture, without those that are gone."""
    processes = (process for pid in pids if (process := identity(pid)) is not None)
    return tuple(CaptureTarget(process, is_held(process.pid)) for process in processes)


def release(targets: Sequence[CaptureTarget]) -> list[str]:
    """Make sure that processes which ran before a capture run after it; sentences about what had to
    be done.

    Waits up to half a second for a tracer to let go, then sends SIGCONT to a process left stopped.
    """
    return [note for target in targets if (note := _release(target))]


def _release(target: CaptureTarget) -> str:
    pid = target.process.pid
    wait_until(lambda: not tracer(pid))
    if not lives(target.process):
        return ""
    if holder := tracer(pid):
        return f"Process {pid} is still traced by process {holder}"
    if target.held or not is_held(pid):
        return ""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGCONT)
    if wait_until(lambda: not is_held(pid)):
        return f"Process {pid} was left stopped by the profiler and was woken with SIGCONT"
    return f"Process {pid} was left stopped, and SIGCONT did not wake it: run kill -CONT {pid}"


def wait_until(holds: Callable[[], bool], within: Seconds = _PATIENCE) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL)
    return True
