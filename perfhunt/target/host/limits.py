"""What this host allows: ptrace, perf, descriptors, ports, cores, cgroup, pressure, timers; with
the mending command.
"""

from __future__ import annotations

import os
import resource
import sys
import time

from perfhunt.model.run import TargetProcess
from perfhunt.model.units import PerSecond, Seconds
from perfhunt.target.host.check import Check, ok, warn
from perfhunt.target.proc import cgroup
from perfhunt.target.proc.files import number, read, text
from perfhunt.target.proc.process import status_field
from perfhunt.target.proc.sockets import connection_ports

_CAP_SYS_PTRACE, _CAP_PERFMON, _CAP_SYS_ADMIN = 19, 38, 21  # linux/capability.h
# Connections that a stalled target is let pile up at most, and what perfhunt opens besides them.
_MOST_CONNECTIONS, _OWN_FILES = 10_000, 200
# Connections to one address at 333 a second, each resting for TCP_TIMEWAIT_LEN (60 s) when closed;
# Linux has 28,232 ports unless told otherwise.
_ENOUGH_PORTS = 20_000
_CLOCK_SOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
_SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies")  # read over a bus, or too coarse


def has_capability(bit: int) -> bool:
    """Whether this process has an effective capability."""
    return bool(int(status_field(os.getpid(), "CapEff") or "0", 16) >> bit & 1)


def ptrace_scope() -> Check:
    """Yama's rule for attaching to a process that is not one's child
    (Documentation/admin-guide/LSM/Yama.rst).
    """
    name, scope = "ptrace scope", number("/proc/sys/kernel/yama/ptrace_scope")
    if scope is None:
        return ok(name, "this kernel has no Yama: the ordinary rules of ptrace hold")
    if scope == 0 or (scope < 3 and has_capability(_CAP_SYS_PTRACE)):
        return ok(name, f"ptrace_scope is {scope}, and allows attaching")
    if scope == 3:
        return warn(
            name,
            "ptrace_scope is 3: nobody may attach to anything",
            "Attaching is off until the next boot: remove kernel.yama.ptrace_scope = 3 from"
            " /etc/sysctl.d and reboot",
        )
    return warn(
        name,
        f"ptrace_scope is {scope}: only children may be attached to",
        "sudo sysctl kernel.yama.ptrace_scope=0",
    )


def ptrace_capability() -> Check:
    """CAP_SYS_PTRACE, which attaching to another user's process needs, and containers drop."""
    name = "CAP_SYS_PTRACE"
    if has_capability(_CAP_SYS_PTRACE):
        return ok(name, "held: processes of any user may be attached to")
    return warn(
        name,
        f"not held: only processes of uid {os.geteuid()} may be attached to",
        "sudo perfhunt ...; in a container: docker run --cap-add SYS_PTRACE; Kubernetes:"
        " capabilities.add [SYS_PTRACE]",
    )


def perf_paranoid() -> Check:
    """perf_event_paranoid (Documentation/admin-guide/sysctl/kernel.rst): at 2 and above kernel
    stacks are hidden.
    """
    name, level = "perf events", number("/proc/sys/kernel/perf_event_paranoid")
    if level is None:
        return warn(
            name,
            "this kernel has no perf events",
            "Build or boot a kernel with CONFIG_PERF_EVENTS",
        )
    if level <= 1 or has_capability(_CAP_PERFMON) or has_capability(_CAP_SYS_ADMIN):
        return ok(name, f"perf_event_paranoid is {level}, and allows what is needed")
    what = "hides what the kernel does" if level == 2 else "forbids perf to this user"
    return warn(
        name,
        f"perf_event_paranoid is {level}, which {what}",
        "sudo sysctl kernel.perf_event_paranoid=1",
    )


def descriptors(rate: PerSecond, timeout: Seconds) -> Check:
    """Whether enough files may be open: a stalled target holds rate times timeout connections at
    once.
    """
    name = "open files"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = int(min(rate * timeout, _MOST_CONNECTIONS)) + _OWN_FILES
    # The hard limit counts: the load process raises its own soft limit up to it.
    if hard == resource.RLIM_INFINITY or hard >= needed:
        count = hard if hard >= 0 else "any number"
        return ok(name, f"{count} files may be open (soft limit {soft})")
    return warn(
        name,
        f"{hard} files may be open; a stalled target at full rate would hold {needed}",
        f"ulimit -Hn {needed} as root, or: max_rate below {hard / timeout:.0f}/s in [safety]",
    )


def ephemeral_ports() -> Check:
    """How many local ports there are for connections to one address; each closed one rests for a
    minute.
    """
    name = "local ports"
    low, high = connection_ports()
    count = high - low + 1
    if count >= _ENOUGH_PORTS:
        return ok(name, f"{count:,} local ports ({low} to {high})")
    return warn(
        name,
        f"only {count:,} local ports: a target that closes connections uses them up",
        'sudo sysctl net.ipv4.ip_local_port_range="1024 65535"',
    )


def core_count() -> Check:
    """Whether generator and target can be kept apart."""
    cores = len(os.sched_getaffinity(0))
    if cores > 1:
        return ok("cores", f"{cores} cores: the load can be kept off the target's")
    return warn(
        "cores",
        "one core: the generator takes time from the target, and the knee is that of both",
        "Use a host with two cores or more, or send the load from another host",
    )


def cgroup_seen(target: TargetProcess | None) -> Check:
    """Whether the limits of CPU and memory, and what counts against them, can be read."""
    pid = target.workers[0] if target else os.getpid()
    cpu, memory = cgroup.find(pid, "cpu"), cgroup.find(pid, "memory")
    if cpu is None or memory is None:
        return warn(
            "cgroup",
            "no cgroup is to be seen: CPU and memory are judged against the whole host",
            "Mount it: sudo mount -t cgroup2 none /sys/fs/cgroup",
        )
    cores, cpu_source = cgroup.cpu_limit(pid)
    size, memory_source = cgroup.memory_limit(pid)
    gib = size / 2**30
    return ok(
        "cgroup",
        f"v{cpu.version}: {cores:g} cores ({cpu_source}), {gib:.1f} GiB ({memory_source})",
    )


def pressure() -> Check:
    """Pressure stall information (Documentation/accounting/psi.rst)."""
    try:
        read("/proc/pressure/cpu")
    except OSError:
        return warn(
            "pressure",
            "the kernel gives no pressure stall information",
            "Boot with psi=1, on a kernel of 4.20 or later;"
            " without it run-queue time still shows the same",
        )
    return ok("pressure", "the kernel tells how long tasks waited for CPU, memory and disk")


def clock() -> Check:
    """What times requests, and what wakes the generator: timerfd is a Linux call, in Python since
    3.13 and by ctypes before.
    """
    monotonic = time.get_clock_info("monotonic")
    source = text(_CLOCK_SOURCE)
    resolution = f"resolution {monotonic.resolution * 1e9:.0f} ns"
    sentence = f"{monotonic.implementation}, {resolution}, source {source or 'unknown'}"
    if not sys.platform.startswith("linux"):
        return warn(
            "clock",
            f"{sentence}; no timerfd on {sys.platform}",
            "Send the load from a Linux host",
        )
    if source in _SLOW_CLOCKS:
        return warn(
            "clock",
            f"{sentence}: reading it takes microseconds",
            f"echo tsc | sudo tee {_CLOCK_SOURCE}",
        )
    return ok("clock", f"{sentence}; paced by timerfd")
