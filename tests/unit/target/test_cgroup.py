"""Limits of CPU and memory, from cgroup trees written by hand after cgroups(7) and the kernel's
cgroup-v2 document.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from perfhunt.target.proc import cgroup
from perfhunt.target.resources.counters import read_counters

PID = 42


def host(root: Path, membership: str, mountinfo: str) -> Path:
    """A /proc with one process in it."""
    proc = root / "proc"
    (proc / str(PID)).mkdir(parents=True)
    (proc / "self").mkdir()
    (proc / str(PID) / "cgroup").write_text(membership)
    (proc / "self" / "mountinfo").write_text(mountinfo)
    return proc


def files(directory: Path, **contents: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        (directory / name.replace("__", ".")).write_text(text + "\n")


def test_the_tightest_quota_of_a_v2_tree_binds(tmp_path: Path) -> None:
    mount = tmp_path / "cg"
    files(mount)
    files(mount / "a", cpu__max="150000 100000", memory__max="max")
    files(mount / "a" / "b", cpu__max="max 100000", memory__max="1073741824")
    proc = host(tmp_path, "0::/a/b\n", f"30 20 0:26 / {mount} rw - cgroup2 cgroup2 rw\n")
    found = cgroup.find(PID, "cpu", proc)
    assert found is not None
    assert (found.version, found.directory) == (2, mount / "a" / "b")
    assert cgroup.cpu_quota(found) == pytest.approx(1.5)
    assert cgroup.memory_bound(found) == 2**30


def test_a_v1_quota_of_minus_one_is_none_and_the_largest_number_is_no_memory_limit(
    tmp_path: Path,
) -> None:
    cpu, memory = tmp_path / "cpu", tmp_path / "memory"
    files(cpu / "d", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    files(memory / "d", memory__limit_in_bytes="9223372036854771712")
    mounts = (
        f"31 20 0:27 / {cpu} rw - cgroup cgroup rw,cpu,cpuacct\n32 20 0:28 / {memory} rw - cgroup"
        " cgroup rw,memory\n"
    )
    proc = host(tmp_path, "4:memory:/d\n3:cpu,cpuacct:/d\n", mounts)
    for controller, read in (("cpu", cgroup.cpu_quota), ("memory", cgroup.memory_bound)):
        found = cgroup.find(PID, controller, proc)
        assert found is not None
        assert found.version == 1
        assert read(found) is None
    files(cpu / "d", cpu__cfs_quota_us="25000")
    found = cgroup.find(PID, "cpu", proc)
    assert found is not None
    assert cgroup.cpu_quota(found) == pytest.approx(0.25)


def test_on_a_hybrid_host_the_v1_hierarchy_of_the_controller_decides(tmp_path: Path) -> None:
    unified, cpu = tmp_path / "unified", tmp_path / "cpu"
    files(unified)
    files(cpu)
    mounts = (
        f"30 20 0:26 / {unified} rw - cgroup2 cgroup2 rw\n31 20 0:27 / {cpu} rw - cgroup cgroup"
        " rw,cpu\n"
    )
    proc = host(tmp_path, "1:cpu:/\n0::/\n", mounts)
    found = cgroup.find(PID, "cpu", proc)
    assert found is not None
    assert found.version == 1
    fallback = cgroup.find(PID, "memory", proc)
    assert fallback is not None
    assert fallback.version == 2


def test_our_own_path_of_the_host_seen_from_inside_a_container_means_the_mount_itself(
    tmp_path: Path,
) -> None:
    mount = tmp_path / "cg"
    files(mount, cpu__max="50000 100000")
    proc = host(tmp_path, "0::/docker/abc\n", f"30 20 0:26 / {mount} ro - cgroup2 cgroup2 rw\n")
    (proc / "self" / "cgroup").write_text("0::/docker/abc\n")
    found = cgroup.find(PID, "cpu", proc)
    assert found is not None
    assert found.directory == mount
    assert cgroup.cpu_quota(found) == pytest.approx(0.5)


def test_a_neighbour_container_has_its_own_limits_and_never_ours(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "cg", tmp_path / "proc" / str(PID) / "root" / "sys" / "cg"
    files(ours, cpu__max="50000 100000")
    proc = host(tmp_path, "0::/../b/leaf\n", f"30 20 0:26 / {ours} ro - cgroup2 cgroup2 rw\n")
    (proc / "self" / "cgroup").write_text("0::/\n")
    assert cgroup.find(PID, "cpu", proc) is None
    files(theirs / "leaf", cpu__max="300000 100000")
    mounted = "31 20 0:26 /../b /sys/cg ro - cgroup2 cgroup2 rw\n"
    (proc / str(PID) / "mountinfo").write_text(mounted)
    found = cgroup.find(PID, "cpu", proc)
    assert found is not None
    assert found.directory == theirs / "leaf"
    assert cgroup.cpu_quota(found) == pytest.approx(3.0)


def test_a_bind_mounted_group_is_found_under_its_mount_point(tmp_path: Path) -> None:
    mount = tmp_path / "cg"
    files(mount / "inner", cpu__max="200000 100000")
    proc = host(
        tmp_path,
        "0::/docker/abc/inner\n",
        f"30 20 0:26 /docker/abc {mount} ro - cgroup2 cgroup2 rw\n",
    )
    found = cgroup.find(PID, "cpu", proc)
    assert found is not None
    assert cgroup.cpu_quota(found) == pytest.approx(2.0)


def test_without_cgroups_there_is_nothing_to_find(tmp_path: Path) -> None:
    assert cgroup.find(PID, "cpu", tmp_path) is None


def test_throttling_and_memory_are_those_of_the_group_whose_limit_binds(tmp_path: Path) -> None:
    mount = tmp_path / "cg"
    files(mount, cpu__stat="nr_periods 0")
    files(mount / "pod", cpu__max="50000 100000", memory__max="1000000")
    files(mount / "pod" / "app", cpu__max="200000 100000", memory__max="2000000")
    files(mount / "pod" / "app" / "same", cpu__max="50000 100000", memory__max="max")
    proc = host(tmp_path, "0::/pod/app/same\n", f"30 20 0:26 / {mount} rw - cgroup2 cgroup2 rw\n")
    found = cgroup.find(PID, "cpu", proc)
    assert found is not None
    # Of two equal quotas the outer one is shared with others, and is used up first.
    assert cgroup.binding(cgroup.cpu_quotas(found)) == mount / "pod"
    assert cgroup.binding(cgroup.memory_bounds(found)) == mount / "pod"
    assert cgroup.binding({}) is None


def test_limits_that_were_met_are_counted_where_a_v2_tree_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = tmp_path / "cg"
    files(mount / "pod", memory__max="1000000", memory__events="low 0\nmax 17\noom_kill 2")
    files(mount / "pod", pids__events="max 3")
    files(mount / "pod" / "app", memory__max="max", memory__events="max 5\noom_kill 2")
    files(mount / "pod" / "app", pids__events="max 0")
    group = cgroup.Cgroup(mount / "pod" / "app", mount, 2)
    monkeypatch.setattr(cgroup, "find", lambda *_: group)
    seen = read_counters(PID)
    assert (seen.memory_hits, seen.oom_kills, seen.tasks_refused) == (17, 2, 3)
