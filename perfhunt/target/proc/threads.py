"""The threads of a process: which there are, how often they were switched, and whether somebody
holds them stopped.
"""

from __future__ import annotations

import os
from contextlib import suppress

from perfhunt.target.proc.files import read, text
from perfhunt.target.proc.process import stat


def tids(pid: int) -> list[int]:
    """The threads of a process now; empty when it is gone."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def thread_name(pid: int, tid: int) -> str:
    """What the kernel calls a thread, or "" when it is gone."""
    return text(f"/proc/{pid}/task/{tid}/comm")


def switches_by_thread(pid: int) -> dict[int, tuple[int, int]]:
    """(voluntary, involuntary) context switches so far of each living thread of a process."""
    switches = {}
    for tid in tids(pid):
        with suppress(OSError):
            switches[tid] = _switches(read(f"/proc/{pid}/task/{tid}/status"))
    return switches


def _switches(status: bytes) -> tuple[int, int]:
    at = status.find(b"\nvoluntary_ctxt_switches:")
    if at < 0:
        return 0, 0
    field = status[at:].split(maxsplit=4)
    return int(field[1]), int(field[3])


def switches(pid: int) -> int:
    """Context switches so far of all living threads of a process, of either kind."""
    return sum(map(sum, switches_by_thread(pid).values()))


def is_held(pid: int) -> bool:
    """Whether any thread of the process is stopped by a signal or by a tracer."""
    stats = (stat(pid, tid) for tid in tids(pid))
    return any(thread is not None and thread.state in "Tt" for thread in stats)


def tracer(pid: int) -> int:
    """The pid that traces any thread of the process, or 0."""
    for tid in tids(pid):
        with suppress(OSError):
            for line in read(f"/proc/{pid}/task/{tid}/status").splitlines():
                if line.startswith(b"TracerPid:") and (holder := int(line.split()[1])):
                    return holder
    return 0
