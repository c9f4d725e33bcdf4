"""One process as the kernel accounts for it: its stat, its status, its command line, its memory."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from perfhunt.model.run import ProcessIdentity
from perfhunt.model.units import Bytes, Seconds
from perfhunt.target.proc.files import read, text

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")  # per second
_SCHEDULED = 2  # the CPU clock that counts time as the scheduler does (linux/posix-timers.h)
PAGE: Bytes = os.sysconf("SC_PAGE_SIZE")
MEMORY: Bytes = PAGE * os.sysconf("SC_PHYS_PAGES")  # of the host


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/PID/stat says (proc(5)) of a process or of one of its threads."""

    pid: int
    name: str
    state: str  # one letter
    parent: int
    cpu: Seconds  # user and system, exited threads included
    children_cpu: Seconds  # of children that were waited for
    threads: int
    started: Seconds  # since boot
    rss: Bytes
    stack: int  # the address where the program's own begins; 0 where that may not be seen

    @property
    def ended(self) -> bool:
        """Whether it runs no more: a zombie that its parent has not collected yet."""
        return self.state in "ZX"

    @property
    def identity(self) -> ProcessIdentity:
        """Which process it is, whoever has its pid later."""
        return ProcessIdentity(self.pid, self.started)


def stat(pid: int, tid: int | None = None) -> Stat | None:
    """The stat of a process, or of one of its threads; None when it is gone."""
    path = f"/proc/{pid}/stat" if tid is None else f"/proc/{pid}/task/{tid}/stat"
    try:
        line = read(path).decode(errors="replace")
    except OSError:
        return None
    # The name may hold spaces and brackets itself, so the fields are counted from its last bracket.
    opening, closing = line.index("("), line.rindex(")")
    field = line[closing + 2 :].split()
    return Stat(
        pid=int(line[: opening - 1]),
        name=line[opening + 1 : closing],
        state=field[0],
        parent=int(field[1]),
        cpu=(int(field[11]) + int(field[12])) / CLOCK_TICKS,
        children_cpu=(int(field[13]) + int(field[14])) / CLOCK_TICKS,
        threads=int(field[17]),
        started=int(field[19]) / CLOCK_TICKS,
        rss=int(field[21]) * PAGE,
        stack=int(field[25]),
    )


def cpu_used(process: Stat) -> Seconds:
    """User and system time of a process so far, exited threads included: to the nanosecond from
    its CPU clock (clock_getcpuclockid(3)), else as its stat says it, in ticks.

    A tick is 10 ms: a service that answered 130 requests in 70 ms has used 60 to 80 by its stat.
    """
    try:
        return max(process.cpu, time.clock_gettime((~process.pid << 3) | _SCHEDULED))
    except OSError:
        return process.cpu


def identity(pid: int) -> ProcessIdentity | None:
    """Which process has a pid now; None when there is none, or only a zombie."""
    now = stat(pid)
    return None if now is None or now.ended else now.identity


def running_program(pid: int) -> tuple[ProcessIdentity, int] | None:
    """Which program a process runs: the process, and where that program's stack begins, which the
    kernel draws by lot for each execve(2): a service that starts itself anew keeps its pid and its
    time. None when there is none any more (one that is about to end has no stack), or the kernel
    does not say.
    """
    now = stat(pid)
    return None if now is None or now.ended or not now.stack else (now.identity, now.stack)


def lives(process: ProcessIdentity) -> bool:
    """Whether that very process still runs."""
    return identity(process.pid) == process


def status_field(pid: int, field: str) -> str:
    """One field of /proc/PID/status, or "" when the process or the field is not there."""
    for line in text(f"/proc/{pid}/status").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.strip()
    return ""


def files_limit(pid: int) -> int | None:
    """How many files a process may have open at once (RLIMIT_NOFILE, as it is in force); None when
    that is not known, or any number.
    """
    for line in text(f"/proc/{pid}/limits").splitlines():
        if line.startswith("Max open files"):
            soft = line.split()[3]
            return int(soft) if soft.isdigit() else None
    return None


def catches(pid: int, number: int) -> bool:
    """Whether a process has code of its own for a signal, which most signals would end it
    without.
    """
    return bool(int(status_field(pid, "SigCgt") or "0", 16) >> (number - 1) & 1)


def cmdline(pid: int) -> tuple[str, ...]:
    """The words a process was started with; empty when it is gone or is a thread of the kernel."""
    try:
        words = read(f"/proc/{pid}/cmdline").decode(errors="replace")
    except OSError:
        return ()
    return tuple(words.rstrip("\x00").split("\x00")) if words.strip("\x00") else ()


def variables(pid: int) -> dict[str, str]:
    """The environment a process was started with; empty where it may not be read."""
    try:
        pairs = read(f"/proc/{pid}/environ").decode(errors="replace").split("\x00")
    except OSError:
        return {}
    return {name: value for name, is_set, value in (p.partition("=") for p in pairs) if is_set}


def uid(pid: int) -> int:
    """The effective uid of a process; -1 when it is gone."""
    ids = status_field(pid, "Uid").split()
    return int(ids[1]) if len(ids) > 1 else -1


def memory(pid: int, address: int, size: Bytes) -> bytes:
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
