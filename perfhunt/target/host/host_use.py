"""Who used the CPU of this host: every core's busy time, and every process's, as differences of two
walks through /proc.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from perfhunt.model.run import ProcessIdentity
from perfhunt.model.units import Cores, Seconds, Share
from perfhunt.target.proc.files import text
from perfhunt.target.proc.process import CLOCK_TICKS, cpu_used, stat
from perfhunt.target.proc.tree import all_pids

_KERNEL = 2  # pid of kthreadd, the parent of the kernel's own threads


@dataclass(frozen=True, slots=True)
class CoreTimes:
    """Seconds of one core since boot. `busy` is without interrupts, whose time is nobody's, and
    without `steal`.
    """

    busy: Seconds
    steal: Seconds
    whole: Seconds


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """CPU seconds of a process and of the children it waited for, since it began."""

    name: str
    parent: int
    cpu: Seconds


@dataclass(frozen=True, slots=True)
class HostUse:
    """The host at one moment."""

    at: Seconds
    cores: Mapping[int, CoreTimes]
    processes: Mapping[ProcessIdentity, ProcessUse]


@dataclass(frozen=True, slots=True)
class HostUsed:
    """What was used between two moments: `cpu` by process, in cores, of those alive at the end."""

    seconds: Seconds
    cores: Mapping[int, CoreTimes]
    cpu: Mapping[ProcessIdentity, Cores]
    processes: Mapping[ProcessIdentity, ProcessUse]

    def busy(self, cores: Iterable[int]) -> Cores:
        """How busy some cores were, together."""
        return self._rate(self.cores[core].busy for core in cores if core in self.cores)

    def stolen(self, cores: Iterable[int]) -> Cores:
        """What the hypervisor took of some cores, together."""
        return self._rate(self.cores[core].steal for core in cores if core in self.cores)

    def steal(self) -> Share | None:
        """The hypervisor's share of the host's time; None when no core was read."""
        whole = sum(core.whole for core in self.cores.values())
        return sum(core.steal for core in self.cores.values()) / whole if whole else None

    def of(self, pids: Iterable[int]) -> Cores:
        """What some processes used, together."""
        wanted = set(pids)
        return sum(cpu for process, cpu in self.cpu.items() if process.pid in wanted)

    def _rate(self, seconds: Iterable[Seconds]) -> Cores:
        return sum(seconds) / self.seconds if self.seconds else 0.0


def host_use() -> HostUse:
    """The host now: some milliseconds on a host with a hundred processes."""
    processes = {}
    for pid in all_pids():
        now = stat(pid)
        # The kernel's own threads work for whoever asks.
        if now is not None and now.parent != _KERNEL and pid != _KERNEL:
            cpu = cpu_used(now) + now.children_cpu
            processes[now.identity] = ProcessUse(now.name, now.parent, cpu)
    return HostUse(time.monotonic(), core_times(text("/proc/stat")), processes)


def core_times(stat_text: str) -> dict[int, CoreTimes]:
    """Every core's times, from the text of /proc/stat (proc(5))."""
    times = {}
    for line in stat_text.splitlines():
        name, *field = line.split()
        number = name.removeprefix("cpu")
        if number == name or not number or len(field) < 8:
            continue
        user, nice, system, *_, steal = (int(count) / CLOCK_TICKS for count in field[:8])
        whole = sum(int(count) for count in field[:8]) / CLOCK_TICKS
        times[int(number)] = CoreTimes(user + nice + system, steal, whole)
    return times


def used_between(before: HostUse, after: HostUse) -> HostUsed:
    """What was used from one moment to the other. A process that began in between counts whole;
    what one that ended in between had used is with the parent that waited for it.
    """
    seconds = max(after.at - before.at, 1e-9)
    cores = {
        number: _grown(before.cores[number], now)
        for number, now in after.cores.items()
        if number in before.cores
    }
    ended = _ended(before, after)
    cpu = {}
    for process, now in after.processes.items():
        was = before.processes.get(process)
        grown = now.cpu - (was.cpu if was else 0.0) - ended.get(process.pid, 0.0)
        cpu[process] = max(0.0, grown) / seconds
    return HostUsed(seconds, cores, cpu, after.processes)


def _ended(before: HostUse, after: HostUse) -> dict[int, Seconds]:
    """By the pid of the nearest process above that still lives, what those that ended had used
    before: it is in the account of whoever waited for them.
    """
    alive = {process.pid for process in before.processes if process in after.processes}
    parents = {process.pid: was.parent for process, was in before.processes.items()}
    used: dict[int, Seconds] = {}
    for process, was in before.processes.items():
        if process not in after.processes:
            heir = was.parent
            while heir not in alive and heir in parents:
                heir = parents[heir]
            used[heir] = used.get(heir, 0.0) + was.cpu
    return used


def _grown(before: CoreTimes, after: CoreTimes) -> CoreTimes:
    return CoreTimes(
        max(0.0, after.busy - before.busy),
        max(0.0, after.steal - before.steal),
        max(0.0, after.whole - before.whole),
    )
