"""Counters of the kernel around the target: host CPU, pressure, throttling, limits of memory and
tasks that were met, OOM kills, connections refused and segments sent again.

Each is read whole and only ever used as a difference of two readings; None where this kernel or
container has none.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from perfhunt.model.units import Bytes
from perfhunt.target.proc import cgroup
from perfhunt.target.proc.files import counters, text
from perfhunt.target.proc.process import stat


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
    memory_hits: int | None = None
    oom_kills: int | None = None
    tasks_refused: int | None = None
    listen_overflows: int | None = None
    listen_drops: int | None = None
    syn_retransmits: int | None = None
    retransmits: int | None = None

    def since(self, before: Counters) -> Counters:
        """The growth from `before` to here; None where either reading was."""
        grown = {}
        for field in fields(self):
            now, then = getattr(self, field.name), getattr(before, field.name)
            grown[field.name] = None if now is None or then is None else max(0, now - then)
        return Counters(**grown)


def read_counters(pid: int) -> Counters:
    """All of them now, for the cgroups and the network namespace of `pid`; those of the host alone
    once that has ended: what is in no group any more is counted by another one.
    """
    host, now = _host_counters(), stat(pid)
    if now is None or now.ended:
        return host
    listening = _protocol(f"/proc/{pid}/net/netstat", "TcpExt:")
    periods, throttled = _throttling(pid)
    return replace(
        host,
        periods=periods,
        throttled=throttled,
        memory_hits=_memory_hits(pid),
        oom_kills=_oom_kills(pid),
        tasks_refused=_tasks_refused(pid),
        listen_overflows=listening.get("ListenOverflows"),
        listen_drops=listening.get("ListenDrops"),
        retransmits=_protocol(f"/proc/{pid}/net/snmp", "Tcp:").get("RetransSegs"),
    )


def _host_counters() -> Counters:
    busy, everything = _host_cpu()
    return Counters(
        host_busy=busy,
        host_all=everything,
        psi_cpu=_pressure("cpu"),
        psi_io=_pressure("io"),
        psi_memory=_pressure("memory"),
        # The side that connects sends a SYN again, and that is ours, in whatever namespace.
        syn_retransmits=_protocol("/proc/self/net/netstat", "TcpExt:").get("TCPSynRetrans"),
    )


def _host_cpu() -> tuple[int | None, int | None]:
    """(busy, all) ticks of every core together, from the first line of /proc/stat (proc(5))."""
    field = text("/proc/stat").partition("\n")[0].split()
    if len(field) < 6 or field[0] != "cpu":
        return None, None
    ticks = [int(count) for count in field[1:9]]  # Guest time is already within user time.
    idle, waiting_for_disk = ticks[3], ticks[4]
    return sum(ticks) - idle - waiting_for_disk, sum(ticks)


def _pressure(of: str) -> int | None:
    """Microseconds in which some task waited (kernel accounting/psi.rst, `some ... total=`)."""
    for line in text(f"/proc/pressure/{of}").splitlines():
        if line.startswith("some "):
            return int(line.rpartition("total=")[2])
    return None


def _throttling(pid: int) -> tuple[int | None, int | None]:
    """Quota periods and how many of them were throttled, in the group whose quota binds."""
    group = cgroup.find(pid, "cpu")
    at = cgroup.binding(cgroup.cpu_quotas(group)) if group else None
    counts = counters(at / "cpu.stat") if at else {}
    return counts.get("nr_periods"), counts.get("nr_throttled")


def _oom_kills(pid: int) -> int | None:
    """Kills in the target's memory group and below, else on the whole host (which may then be
    somebody else's).
    """
    group = cgroup.find(pid, "memory")
    if group is not None:
        name = "memory.events" if group.version == 2 else "memory.oom_control"
        counts = counters(group.directory / name)
        if "oom_kill" in counts:
            return counts["oom_kill"]
    return counters("/proc/vmstat").get("oom_kill")


def _memory_hits(pid: int) -> int | None:
    """How often the group whose memory limit binds was at that limit."""
    group = cgroup.find(pid, "memory")
    at = cgroup.binding(cgroup.memory_bounds(group)) if group else None
    if group is None or at is None:
        return None
    if group.version == 2:
        return counters(at / "memory.events").get("max")
    count = text(at / "memory.failcnt")
    return int(count) if count.isdigit() else None


def _tasks_refused(pid: int) -> int | None:
    """How often a fork or clone met a limit of tasks. Kernels count that in the group that forks,
    or (v2, since 6.11) in the one whose limit it is and those above.
    """
    group = cgroup.find(pid, "pids")
    counts = [counters(at / "pids.events") for at in group.upwards()] if group else []
    return max((each["max"] for each in counts if "max" in each), default=None)


def _protocol(path: str, protocol: str) -> dict[str, int]:
    """The counters of one protocol: a line of names, and one of their values."""
    lines = [line.split()[1:] for line in text(path).splitlines() if line.startswith(protocol)]
    if len(lines) != 2:
        return {}
    return {name: int(value) for name, value in zip(*lines, strict=True)}


def memory_used(pid: int, rss: Bytes, limited: bool) -> Bytes:
    """Bytes that count against the memory limit: the account of the group that it is a limit of,
    without its page cache, else `rss`.
    """
    group = cgroup.find(pid, "memory") if limited else None
    at = cgroup.binding(cgroup.memory_bounds(group)) if group else None
    if group is None or at is None:
        return rss
    name = "memory.current" if group.version == 2 else "memory.usage_in_bytes"
    account = text(at / name)
    counts = counters(at / "memory.stat")
    # That of v1 counts groups below in its totals only, that of v2 always.
    cache = counts.get("total_inactive_file", counts.get("inactive_file", 0))
    return max(0, int(account) - cache) if account.isdigit() else rss
