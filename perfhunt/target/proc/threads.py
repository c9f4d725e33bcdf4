"""The threads of a process: which there are, how often they were switched, and whether somebody
holds them stopped.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType

from perfhunt.target.proc.files import read, text
from perfhunt.target.proc.process import stat, status_field


def tids(pid: int) -> list[int]:
    """The threads of a process now; empty when it is gone."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def host_tids(pid: int, known: Mapping[int, int] = MappingProxyType({})) -> dict[int, int]:
    """The threads of a process by the numbers it knows them by itself: own number -> ours.
    `known` are own numbers that were read before, by ours.

    They differ where it lives in a pid namespace of its own (a container): what is read from its
    memory, or told by it, holds its own numbers, and /proc goes by ours. Threads that ended
    meanwhile are left out.
    """
    if not has_own_pids(pid):
        return {tid: tid for tid in tids(pid)}
    numbers = {}
    for tid in tids(pid):
        with suppress(OSError):
            own = known.get(tid) or own_number(read(f"/proc/{pid}/task/{tid}/status"), tid)
            numbers[own] = tid
    return numbers


def has_own_pids(pid: int) -> bool:
    """Whether a process lives in a pid namespace below ours, so that its numbers are not ours."""
    return len(status_field(pid, "NSpid").split()) > 1


def own_pid(pid: int) -> int:
    """What a process calls itself, in the innermost pid namespace it is in; `pid` when gone."""
    return int((status_field(pid, "NSpid").split() or [str(pid)])[-1])


def own_number(status: bytes, tid: int) -> int:
    """What a thread calls itself, by its status: the last number of the line `NSpid`, outermost
    namespace first (proc(5)); `tid` where the kernel has no such line.
    """
    at = status.find(b"\nNSpid:")
    return int(status[at + 1 :].partition(b"\n")[0].split()[-1]) if at >= 0 else tid


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
