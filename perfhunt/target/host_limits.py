"""What this host allows: ptrace, perf, descriptors, ports, cores, cgroup, pressure, timers; with
the mending command.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from dataclasses import dataclass

from perfhunt.model.run import TargetProcess
from perfhunt.model.units import PerSecond, Seconds
from perfhunt.target.proc import cgroup, proc

_CAP_SYS_PTRACE, _CAP_PERFMON, _CAP_SYS_ADMIN = 19, 38, 21  # linux/capability.h


@dataclass(frozen=True, slots=True)
class HostFact:
    """One fact about the host, whether it is good for a run, and what mends it. `needed`: no run
    without it.
    """

    name: str
    good: bool
    sentence: str
    mend: str = ""
    needed: bool = False


def _number(path: str) -> int | None:
    try:
        return int(proc.read(path).split()[0])
    except (OSError, ValueError, IndexError):
        return None


def has_capability(bit: int) -> bool:
    """Whether this process has an effective capability."""
    return bool(int(proc.status_field(os.getpid(), "CapEff") or "0", 16) >> bit & 1)


def ptrace_scope() -> HostFact:
    """Yama's rule for attaching to a process that is not one's child
    (Documentation/admin-guide/LSM/Yama.rst).
    """
    scope = _number("/proc/sys/kernel/yama/ptrace_scope")
    if scope is None:
        return HostFact(
            "ptrace scope", True, "this kernel has no Yama: the ordinary rules of ptrace hold"
        )
    if scope == 0 or (scope < 3 and has_capability(_CAP_SYS_PTRACE)):
        return HostFact("ptrace scope", True, f"ptrace_scope is {scope}, and allows attaching")
    if scope == 3:
        mend = (
            "Attaching is off until the next boot: remove kernel.yama.ptrace_scope = 3 from"
            " /etc/sysctl.d and reboot"
        )
        return HostFact(
            "ptrace scope", False, "ptrace_scope is 3: nobody may attach to anything", mend
        )
    return HostFact(
        "ptrace scope",
        False,
        f"ptrace_scope is {scope}: only children may be attached to",
        "sudo sysctl kernel.yama.ptrace_scope=0",
    )


def ptrace_capability() -> HostFact:
    """CAP_SYS_PTRACE, which attaching to another user's process needs, and containers drop."""
    if has_capability(_CAP_SYS_PTRACE):
        return HostFact("CAP_SYS_PTRACE", True, "held: processes of any user may be attached to")
    mend = (
        "sudo perfhunt ...; in a container: docker run --cap-add SYS_PTRACE; Kubernetes:"
        " capabilities.add [SYS_PTRACE]"
    )
    return HostFact(
        "CAP_SYS_PTRACE",
        False,
        f"not held: only processes of uid {os.geteuid()} may be attached to",
        mend,
    )


def perf_paranoid() -> HostFact:
    """perf_event_paranoid (Documentation/admin-guide/sysctl/kernel.rst): at 2 and above kernel
    stacks are hidden.
    """
    level = _number("/proc/sys/kernel/perf_event_paranoid")
    if level is None:
        return HostFact(
            "perf events",
            False,
            "this kernel has no perf events",
            "Build or boot a kernel with CONFIG_PERF_EVENTS",
        )
    if level <= 1 or has_capability(_CAP_PERFMON) or has_capability(_CAP_SYS_ADMIN):
        return HostFact(
            "perf events", True, f"perf_event_paranoid is {level}, and allows what is needed"
        )
    what = "hides what the kernel does" if level == 2 else "forbids perf to this user"
    return HostFact(
        "perf events",
        False,
        f"perf_event_paranoid is {level}, which {what}",
        "sudo sysctl kernel.perf_event_paranoid=1",
    )


def descriptors(rate: PerSecond, timeout: Seconds) -> HostFact:
    """Whether enough files may be open: a stalled target holds rate times timeout connections at
    once.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = int(min(rate * timeout, 10_000)) + 200
    # The hard limit counts: the load process raises its own soft limit up to it.
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return HostFact(
            "open files",
            True,
            f"{hard if hard >= 0 else 'any number'} files may be open (soft limit {soft})",
        )
    mend = f"ulimit -Hn {wanted} as root, or: max_rate below {hard / timeout:.0f}/s in [safety]"
    return HostFact(
        "open files",
        False,
        f"{hard} files may be open; a stalled target at full rate would hold {wanted}",
        mend,
    )


def ephemeral_ports() -> HostFact:
    """How many local ports there are for connections to one address; each closed one rests for a
    minute.
    """
    try:
        low, high = (
            int(text) for text in proc.read("/proc/sys/net/ipv4/ip_local_port_range").split()
        )
    except (OSError, ValueError):
        return HostFact(
            "local ports", True, "the range of local ports cannot be read; the default is 28,232"
        )
    count = high - low + 1
    if count >= 20_000:
        return HostFact("local ports", True, f"{count:,} local ports ({low} to {high})")
    mend = 'sudo sysctl net.ipv4.ip_local_port_range="1024 65535"'
    return HostFact(
        "local ports",
        False,
        f"only {count:,} local ports: a target that closes connections uses them up",
        mend,
    )


def core_count() -> HostFact:
    """Whether generator and target can be kept apart."""
    cores = len(os.sched_getaffinity(0))
    if cores > 1:
        return HostFact("cores", True, f"{cores} cores: the load can be kept off the target's")
    mend = "Use a host with two cores or more, or send the load from another host"
    return HostFact(
        "cores",
        False,
        "one core: the generator takes time from the target, and the knee is that of both",
        mend,
    )


def cgroup_seen(target: TargetProcess | None) -> HostFact:
    """Whether the limits of CPU and memory, and what counts against them, can be read."""
    pid = target.workers[0] if target else os.getpid()
    cpu, memory = cgroup.find(pid, "cpu"), cgroup.find(pid, "memory")
    if cpu is None or memory is None:
        mend = "Mount it: sudo mount -t cgroup2 none /sys/fs/cgroup"
        return HostFact(
            "cgroup",
            False,
            "no cgroup is to be seen: CPU and memory are judged against the whole host",
            mend,
        )
    cores, cpu_source = cgroup.cpu_limit(pid)
    size, memory_source = cgroup.memory_limit(pid)
    sentence = (
        f"v{cpu.version}: {cores:g} cores ({cpu_source}), {size / 2**30:.1f} GiB ({memory_source})"
    )
    return HostFact("cgroup", True, sentence)


def pressure() -> HostFact:
    """Pressure stall information (Documentation/accounting/psi.rst)."""
    try:
        proc.read("/proc/pressure/cpu")
    except OSError:
        mend = (
            "Boot with psi=1, on a kernel of 4.20 or later; without it run-queue time still shows"
            " the same"
        )
        return HostFact("pressure", False, "the kernel gives no pressure stall information", mend)
    return HostFact(
        "pressure", True, "the kernel tells how long tasks waited for CPU, memory and disk"
    )


def clock() -> HostFact:
    """What times requests, and what wakes the generator: timerfd is a Linux call, in Python since
    3.13 and by ctypes before.
    """
    found = time.get_clock_info("monotonic")
    source = _text("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    slow = source in ("hpet", "acpi_pm", "jiffies")
    sentence = (
        f"{found.implementation}, resolution {found.resolution * 1e9:.0f} ns, source"
        f" {source or 'unknown'}"
    )
    if not sys.platform.startswith("linux"):
        return HostFact(
            "clock",
            False,
            f"{sentence}; no timerfd on {sys.platform}",
            "Send the load from a Linux host",
        )
    mend = "echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource"
    return HostFact(
        "clock",
        not slow,
        f"{sentence}{': reading it takes microseconds' if slow else '; paced by timerfd'}",
        mend,
    )


def _text(path: str) -> str:
    try:
        return proc.read(path).decode(errors="replace").strip()
    except OSError:
        return ""
