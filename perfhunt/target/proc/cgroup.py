"""How much CPU and memory a process may use: cgroup v1 and v2 limits, its affinity, the host."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from perfhunt.model.units import Bytes, Cores
from perfhunt.target.proc.files import text

# cgroup v1 writes "no limit" as the largest page-aligned number, which no host has.
_NO_LIMIT: Bytes = 1 << 60


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The directory of one controller for one process, and its mount point (nothing above that is
    visible).
    """

    directory: Path
    mount: Path
    version: int

    def upwards(self) -> Iterator[Path]:
        """The directory and its parents, nearest first: a limit of any of them binds."""
        at = self.directory
        while True:
            yield at
            if at == self.mount or self.mount not in at.parents:
                return
            at = at.parent


def find(pid: int, controller: str, proc: Path = Path("/proc")) -> Cgroup | None:
    """Where a controller ("cpu", "memory") governs a process; None where cgroups are not to be
    seen.

    On a hybrid host the v1 hierarchy of the controller wins: that is where it is enforced.
    """
    # Names of groups and mounts are bytes that others chose.
    listed = text(proc / str(pid) / "cgroup").split("\n")
    groups = [fields for line in listed if len(fields := line.split(":", 2)) == 3]
    mounts = text(proc / "self" / "mountinfo").split("\n")
    unified: Cgroup | None = None
    for _, controllers, path in groups:
        version = 2 if controllers == "" else 1
        if version == 1 and controller not in controllers.split(","):
            continue
        group = _mounted(mounts, version, controller, path)
        if group and version == 1:
            return group
        unified = unified or group
    return unified


def _mounted(mounts: list[str], version: int, controller: str, path: str) -> Cgroup | None:
    for line in mounts:
        left, _, right = line.partition(" - ")
        if len(fields := left.split()) < 5:
            continue
        root, point = (_unescape(field) for field in fields[3:5])
        kind, _, options = [*right.split(), "", "", ""][:3]
        if kind != ("cgroup2" if version == 2 else "cgroup"):
            continue
        if version == 1 and controller not in options.split(","):
            continue
        relative = os.path.relpath(path, root) if path.startswith(root) else "."
        directory = Path(point) / relative if relative != "." else Path(point)
        # Inside a container the path may be one of the host's, which is not mounted here.
        return Cgroup(directory if directory.is_dir() else Path(point), Path(point), version)
    return None


def _unescape(field: str) -> str:
    return field.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def cpu_quota(group: Cgroup) -> Cores | None:
    """The smallest CPU quota from the group up to the mount point, in cores; None when there is
    none.
    """
    quotas: list[float] = []
    for directory in group.upwards():
        if group.version == 2:
            quota, _, period = text(directory / "cpu.max").partition(" ")
        else:
            quota = text(directory / "cpu.cfs_quota_us")
            period = text(directory / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period) > 0:
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def memory_bound(group: Cgroup) -> Bytes | None:
    """The smallest memory limit from the group up to the mount point; None when there is none."""
    name = "memory.max" if group.version == 2 else "memory.limit_in_bytes"
    limits = [
        int(limit)
        for directory in group.upwards()
        if (limit := text(directory / name)).isdigit() and int(limit) < _NO_LIMIT
    ]
    return min(limits, default=None)


def cpu_limit(pid: int) -> tuple[Cores, str]:
    """How many cores a process may use at most, and what says so: a cgroup quota, its affinity, or
    the host.
    """
    cores = os.cpu_count() or 1
    try:
        affinity = len(os.sched_getaffinity(pid))
    except OSError:
        affinity = cores
    group = find(pid, "cpu")
    quota = cpu_quota(group) if group else None
    if group and quota is not None and quota < affinity:
        return quota, f"cgroup v{group.version} CPU quota"
    if affinity < cores:
        return float(affinity), f"CPU affinity ({affinity} of {cores} cores)"
    return float(cores), "cores of the host"


def memory_limit(pid: int) -> tuple[Bytes, str]:
    """How much memory a process may use at most, and what says so: a cgroup limit, or the host's
    RAM.
    """
    host = psutil.virtual_memory().total
    group = find(pid, "memory")
    bound = memory_bound(group) if group else None
    if group and bound is not None and bound < host:
        return bound, f"cgroup v{group.version} memory limit"
    return host, "memory of the host"
