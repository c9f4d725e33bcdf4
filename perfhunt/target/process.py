"""One live process as the kernel shows it: its identity, command line, program, owner and
parents.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from perfhunt.model.run import Process
from perfhunt.target.proc import proc
from perfhunt.target.runtime import runtime_of


def process(pid: int) -> Process | None:
    """One live process as it is now; None when it is gone or is a zombie."""
    stat = proc.stat(pid)
    if stat is None or stat.state in "ZX":
        return None
    runtime, version = runtime_of(pid)
    return Process(
        pid=pid,
        parent=stat.parent,
        started=stat.started / proc.CLOCK_TICKS,
        exe=link(pid, "exe"),
        cmdline=cmdline(pid),
        cwd=link(pid, "cwd"),
        uid=uid(pid),
        threads=stat.threads,
        runtime=runtime,
        runtime_version=version,
    )


def identity(pid: int) -> tuple[int, float] | None:
    """(pid, start in seconds since boot), which is never reused; None when there is no such
    process.
    """
    stat = proc.stat(pid)
    return None if stat is None or stat.state in "ZX" else (pid, stat.started / proc.CLOCK_TICKS)


def ancestors(pid: int) -> list[int]:
    """The pid itself and its parents, nearest first."""
    line: list[int] = []
    while pid > 0 and pid not in line:
        line.append(pid)
        stat = proc.stat(pid)
        pid = stat.parent if stat else 0
    return line


def all_pids() -> list[int]:
    """Every process there is now, lowest pid first."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def cmdline(pid: int) -> tuple[str, ...]:
    """The words a process was started with; empty when it is gone or is a thread of the kernel."""
    try:
        text = proc.read(f"/proc/{pid}/cmdline").decode(errors="replace")
    except OSError:
        return ()
    return tuple(text.rstrip("\x00").split("\x00")) if text.strip("\x00") else ()


def shown(words: Sequence[str]) -> str:
    """A command line as a message repeats it: short, and printable."""
    text = " ".join(words)
    return "".join(c if c.isprintable() else "?" for c in text[:60]) or "no command line"


def link(pid: int, name: str) -> str:
    """Where a link of /proc/PID leads (`exe`, `cwd`, `ns/net`); "" when it cannot be read."""
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def uid(pid: int) -> int:
    """The effective uid of a process; -1 when it is gone."""
    text = proc.status_field(pid, "Uid").split()
    return int(text[1]) if len(text) > 1 else -1
