"""How much CPU and memory a process may use: cgroup v1 and v2 limits, its affinity, the host."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from perfhunt.model.units import Bytes, Cores
from perfhunt.target.proc.files import counters, text
from perfhunt.target.proc.process import MEMORY

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
    """Where a controller ("cpu", "memory") governs a process; None where that is not to be seen.

    On a hybrid host the v1 hierarchy of the controller wins: that is where it is enforced. What is
    not below our own mounts (we are in a container, the process in another) may be below the
    process's, which are read through its root.
    """
    unified: Cgroup | None = None
    ours = _groups(proc / "self", controller)
    for version, path in _groups(proc / str(pid), controller).items():
        seen = _Mounts(text(proc / "self" / "mountinfo"), "", version, controller)
        theirs = proc / str(pid)
        inside = _Mounts(text(theirs / "mountinfo"), str(theirs / "root"), version, controller)
        group = seen.group(path) or inside.group(path)
        if group is None and ours.get(version) == path:
            # The path is one of the host's; what is mounted here is at least above both of us.
            group = seen.whole()
        if group and version == 1:
            return group
        unified = unified or group
    return unified


def is_frozen(pid: int) -> bool:
    """Whether its group, or one above, is frozen, as `docker pause` does it (v1: the freezer; v2:
    cgroup.freeze).
    """
    group = find(pid, "freezer")
    if group is None:
        return False
    if group.version == 1:
        return text(group.directory / "freezer.state") == "FROZEN"
    return counters(group.directory / "cgroup.events").get("frozen") == 1


def _groups(process: Path, controller: str) -> dict[int, str]:
    """The groups of a process that may govern it, by the version of their hierarchy."""
    # Names of groups and mounts are bytes that others chose.
    listed = (line.split(":", 2) for line in text(process / "cgroup").split("\n"))
    return {
        1 if fields[1] else 2: fields[2]
        for fields in listed
        if len(fields) == 3 and (not fields[1] or controller in fields[1].split(","))
    }


@dataclass(frozen=True, slots=True)
class _Mounts:
    """The mounts of one hierarchy, by a `mountinfo` whose paths lie below `within`."""

    mountinfo: str
    within: str
    version: int
    controller: str

    def group(self, path: str) -> Cgroup | None:
        """The directory of a group, in the first mount that shows it."""
        for root, mount in self._each():
            below = _below(path, root)
            if below is not None and (mount / below).is_dir():
                return Cgroup(mount / below, mount, self.version)
        return None

    def whole(self) -> Cgroup | None:
        """All that the first of them shows."""
        return next((Cgroup(mount, mount, self.version) for _, mount in self._each()), None)

    def _each(self) -> Iterator[tuple[str, Path]]:
        """(group that it shows, mount point) of each."""
        for line in self.mountinfo.split("\n"):
            left, _, right = line.partition(" - ")
            if len(fields := left.split()) < 5:
                continue
            kind, _, options = [*right.split(), "", "", ""][:3]
            if kind != ("cgroup2" if self.version == 2 else "cgroup"):
                continue
            if self.version == 2 or self.controller in options.split(","):
                yield _unescape(fields[3]), Path(self.within + _unescape(fields[4]))


def _below(path: str, root: str) -> str | None:
    """Where a group is below another; None when it is not. Both may begin with `..`, which stands
    for what is above our own cgroup namespace (cgroup_namespaces(7)) and is no way up.
    """
    parts, above = ([part for part in at.split("/") if part] for at in (path, root))
    rest = parts[len(above) :]
    return "/".join(rest) if parts[: len(above)] == above and ".." not in rest else None


def _unescape(field: str) -> str:
    return field.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def cpu_quotas(group: Cgroup) -> dict[Path, Cores]:
    """The CPU quotas from the group up to the mount point, nearest first, in cores."""
    quotas = {}
    for directory in group.upwards():
        if group.version == 2:
            quota, _, period = text(directory / "cpu.max").partition(" ")
        else:
            quota = text(directory / "cpu.cfs_quota_us")
            period = text(directory / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period) > 0:
            quotas[directory] = int(quota) / int(period)
    return quotas


def memory_bounds(group: Cgroup) -> dict[Path, Bytes]:
    """The memory limits from the group up to the mount point, nearest first."""
    name = "memory.max" if group.version == 2 else "memory.limit_in_bytes"
    return {
        directory: int(limit)
        for directory in group.upwards()
        if (limit := text(directory / name)).isdigit() and int(limit) < _NO_LIMIT
    }


def binding(limits: dict[Path, float] | dict[Path, int]) -> Path | None:
    """The directory whose limit is met first: the tightest, and of equal ones the outermost, which
    others use too. None where there is no limit.
    """
    return min(reversed(limits), key=limits.__getitem__) if limits else None


def cpu_quota(group: Cgroup) -> Cores | None:
    """The smallest CPU quota of the group and those above, in cores; None when there is none."""
    return min(cpu_quotas(group).values(), default=None)


def memory_bound(group: Cgroup) -> Bytes | None:
    """The smallest memory limit of the group and those above; None when there is none."""
    return min(memory_bounds(group).values(), default=None)


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
    host = MEMORY
    group = find(pid, "memory")
    bound = memory_bound(group) if group else None
    if group and bound is not None and bound < host:
        return bound, f"cgroup v{group.version} memory limit"
    return host, "memory of the host"
