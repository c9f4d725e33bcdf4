"""Small readings of /proc: identities, threads, trees, and whether somebody holds a process
stopped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/PID/stat says (proc(5)). `started` is clock ticks since boot: with the pid, an
    identity never reused.
    """

    pid: int
    name: str
    state: str
    parent: int
    cpu: float  # seconds, user and system, exited threads included
    children_cpu: float  # seconds, of children that were waited for
    threads: int
    started: int
    rss: int  # bytes


def read(path: str) -> bytes:
    """The whole of a /proc file. Raises OSError (ProcessLookupError or FileNotFoundError when its
    owner is gone).
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = []
        while chunk := os.read(fd, 1 << 16):
            chunks.append(chunk)
        return b"".join(chunks)
    finally:
        os.close(fd)


def stat(pid: int, tid: int | None = None) -> Stat | None:
    """The stat of a process, or of one of its threads; None when it is gone."""
    path = f"/proc/{pid}/stat" if tid is None else f"/proc/{pid}/task/{tid}/stat"
    try:
        text = read(path).decode(errors="replace")
    except OSError:
        return None
    # The name may hold spaces and brackets itself, so the fields are counted from its last bracket.
    opening, closing = text.index("("), text.rindex(")")
    field = text[closing + 2 :].split()
    return Stat(
        pid=int(text[: opening - 1]),
        name=text[opening + 1 : closing],
        state=field[0],
        parent=int(field[1]),
        cpu=(int(field[11]) + int(field[12])) / CLOCK_TICKS,
        children_cpu=(int(field[13]) + int(field[14])) / CLOCK_TICKS,
        threads=int(field[17]),
        started=int(field[19]),
        rss=int(field[21]) * PAGE,
    )


def tids(pid: int) -> list[int]:
    """The threads of a process now; empty when it is gone."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def thread_name(pid: int, tid: int) -> str:
    """What the kernel calls a thread, or "" when it is gone."""
    try:
        return read(f"/proc/{pid}/task/{tid}/comm").decode(errors="replace").rstrip("\n")
    except OSError:
        return ""


def status_field(pid: int, field: str) -> str:
    """One field of /proc/PID/status, or "" when the process or the field is not there."""
    try:
        text = read(f"/proc/{pid}/status").decode(errors="replace")
    except OSError:
        return ""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.strip()
    return ""


def switches_by_thread(pid: int) -> dict[int, tuple[int, int]]:
    """(voluntary, involuntary) context switches so far of each living thread of a process."""
    found = {}
    for tid in tids(pid):
        with suppress(OSError):
            found[tid] = _switches(read(f"/proc/{pid}/task/{tid}/status"))
    return found


def _switches(status: bytes) -> tuple[int, int]:
    at = status.find(b"\nvoluntary_ctxt_switches:")
    if at < 0:
        return 0, 0
    field = status[at:].split(maxsplit=4)
    return int(field[1]), int(field[3])


def switches(pid: int) -> int:
    """Context switches so far of all living threads of a process, of either kind."""
    return sum(map(sum, switches_by_thread(pid).values()))


def children(pid: int) -> list[int]:
    """The direct children of a process, by whichever thread started them."""
    found: list[int] = []
    for tid in tids(pid):
        with suppress(OSError):
            found += [int(child) for child in read(f"/proc/{pid}/task/{tid}/children").split()]
    return found


def descendants(roots: Iterable[int]) -> list[int]:
    """The given pids and everything below them, parents first, each once; those gone are left
    out.
    """
    found: dict[int, None] = {}
    waiting = [pid for pid in roots if os.path.isdir(f"/proc/{pid}")]
    while waiting:
        pid = waiting.pop(0)
        if pid not in found:
            found[pid] = None
            waiting += children(pid)
    return list(found)


def working_pids(pids: Sequence[int], root: int = 0) -> list[int]:
    """The pids that do the work now, after restarts: `pids` and what they started, and what `root`
    started in their place.

    When `root` is one of `pids`, or is 0, that is the trees of `pids`. When it is the parent of
    prefork workers, those below it that were started like a worker are workers too, so that one
    that was replaced is followed by its successor; what else the parent keeps beside them (a log
    shipper, a helper of its own) is not.
    """
    if root == 0 or root in pids:
        return descendants(pids)
    own = descendants(pids)
    alike = {made for pid in pids if (made := _started_as(pid))}
    below = [pid for pid in descendants([root]) if pid != root]
    return own + [
        pid for pid in below if pid not in own and (not alike or _started_as(pid) in alike)
    ]


def _started_as(pid: int) -> bytes:
    """A command line without its numbers: workers of one parent differ in handles and counters
    only. Empty when gone.
    """
    try:
        return re.sub(rb"\d+", b"", read(f"/proc/{pid}/cmdline"))
    except OSError:
        return b""


def is_held(pid: int) -> bool:
    """Whether any thread of the process is stopped by a signal or by a tracer."""
    return any(
        one is not None and one.state in "Tt" for one in (stat(pid, tid) for tid in tids(pid))
    )


def tracer(pid: int) -> int:
    """The pid that traces any thread of the process, or 0."""
    for tid in tids(pid):
        with suppress(OSError):
            for line in read(f"/proc/{pid}/task/{tid}/status").splitlines():
                if line.startswith(b"TracerPid:") and (found := int(line.split()[1])):
                    return found
    return 0


def memory(pid: int, address: int, size: int) -> bytes:
    """`size` bytes of another process's memory, or b"" when all of them cannot be read."""
    try:
        fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        raw = os.pread(fd, size, address)
    except (OSError, OverflowError):
        return b""
    finally:
        os.close(fd)
    return raw if len(raw) == size else b""
