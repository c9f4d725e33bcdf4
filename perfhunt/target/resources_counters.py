"""Counters of the kernel around the target: host CPU, pressure, listen overflows, throttling, OOM
kills.

Each is read whole and only ever used as a difference of two readings; None where this kernel or
container has none.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from perfhunt.target.proc import cgroup, proc


@dataclass(frozen=True, slots=True)
class Counters:
    """One reading. Ticks for the host, microseconds for pressure, counts for the rest."""

    host_busy: int | None = None
    host_all: int | None = None
    psi_cpu: int | None = None
    psi_io: int | None = None
    psi_memory: int | None = None
    periods: int | None = None
    throttled: int | None = None
    oom_kills: int | None = None
    listen_overflows: int | None = None

    def since(self, before: Counters) -> Counters:
        """The growth from `before` to here; None where either reading was."""
        grown = {}
        for one in fields(self):
            now, then = getattr(self, one.name), getattr(before, one.name)
            grown[one.name] = None if now is None or then is None else max(0, now - then)
        return Counters(**grown)


def read_counters(pid: int) -> Counters:
    """All of them now, for the cgroups and the network namespace of `pid`."""
    busy, everything = _host_cpu()
    periods, throttled = _throttling(pid)
    return Counters(
        busy,
        everything,
        _pressure("cpu"),
        _pressure("io"),
        _pressure("memory"),
        periods,
        throttled,
        _oom_kills(pid),
        _listen_overflows(pid),
    )


def _text(path: str | Path) -> str:
    try:
        return proc.read(str(path)).decode(errors="replace")
    except OSError:
        return ""


def _host_cpu() -> tuple[int | None, int | None]:
    field = _text("/proc/stat").partition("\n")[0].split()
    if len(field) < 6 or field[0] != "cpu":
        return None, None
    ticks = [int(one) for one in field[1:9]]  # guest time is already within user time
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def _pressure(of: str) -> int | None:
    """Microseconds in which some task waited (kernel accounting/psi.rst, `some ... total=`)."""
    for line in _text(f"/proc/pressure/{of}").splitlines():
        if line.startswith("some "):
            return int(line.rpartition("total=")[2])
    return None


def _keyed(text: str) -> dict[str, int]:
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _throttling(pid: int) -> tuple[int | None, int | None]:
    """Quota periods and how many of them were throttled, in the nearest group that has a quota."""
    group = cgroup.find(pid, "cpu")
    for directory in group.upwards() if group else ():
        counts = _keyed(_text(directory / "cpu.stat"))
        if counts.get("nr_periods"):
            return counts["nr_periods"], counts.get("nr_throttled")
    return None, None


def _oom_kills(pid: int) -> int | None:
    """Kills in the target's memory group and below, else on the whole host (which may then be
    somebody else's).
    """
    group = cgroup.find(pid, "memory")
    if group is not None:
        name = "memory.events" if group.version == 2 else "memory.oom_control"
        counts = _keyed(_text(group.directory / name))
        if "oom_kill" in counts:
            return counts["oom_kill"]
    return _keyed(_text("/proc/vmstat")).get("oom_kill")


def _listen_overflows(pid: int) -> int | None:
    lines = [
        line.split()
        for line in _text(f"/proc/{pid}/net/netstat").splitlines()
        if line.startswith("TcpExt:")
    ]
    if len(lines) != 2:
        return None
    counts = dict(zip(lines[0], lines[1], strict=True))
    return int(counts["ListenOverflows"]) if "ListenOverflows" in counts else None


def memory_used(pid: int, rss: int, limited: bool) -> int:
    """Bytes that count against the memory limit: the limited group's own account without its page
    cache, else `rss`.
    """
    group = cgroup.find(pid, "memory") if limited else None
    if group is None:
        return rss
    name = "memory.current" if group.version == 2 else "memory.usage_in_bytes"
    text = _text(group.directory / name).strip()
    counts = _keyed(_text(group.directory / "memory.stat"))
    cache = counts.get("inactive_file", counts.get("total_inactive_file", 0))
    return max(0, int(text) - cache) if text.isdigit() else rss
