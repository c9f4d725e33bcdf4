"""Limits of the kernel's control groups, made here and met by a real process."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perfhunt.target.proc import cgroup
from perfhunt.target.resources.counters import Counters, read_counters
from tests.live.running import question, run_json, service

pytestmark = pytest.mark.live

# Answers each line with what came of it: a fork that is refused, a child that takes 96 MiB.
SERVICE = """
import os, sys
print("ready", flush=True)
for line in sys.stdin:
    try:
        child = os.fork()
    except OSError as error:
        print(error.errno, flush=True)
        continue
    if child == 0:
        bytearray(b"x" * (96 << 20)) if line == "take" + chr(10) else None
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@contextlib.contextmanager
def group(controller: str, limits: dict[int, tuple[str, str]]) -> Iterator[Path]:
    """A control group of its own below ours, with the limit by the version of control groups; skips
    where none may be made. Who is put in it must have ended with the block.
    """
    ours = cgroup.find(os.getpid(), controller)
    if ours is None:
        pytest.skip(f"no control group for {controller} is to be seen")
    at, (file, value) = ours.directory / f"perfhunt-test-{os.getpid()}", limits[ours.version]
    try:
        at.mkdir()
        (at / file).write_text(value)
    except OSError as error:
        with contextlib.suppress(OSError):
            at.rmdir()
        pytest.skip(f"no limit of {controller} may be set: {error}")
    try:
        yield at
    finally:
        at.rmdir()


def join(at: Path, pid: int) -> None:
    (at / "cgroup.procs").write_text(str(pid))


@contextlib.contextmanager
def limited(controller: str, limits: dict[int, tuple[str, str]]) -> Iterator[subprocess.Popen[str]]:
    with (
        group(controller, limits) as at,
        subprocess.Popen([sys.executable, "-c", SERVICE], stdin=-1, stdout=-1, text=True) as made,
    ):
        assert made.stdout is not None and made.stdin is not None
        assert made.stdout.readline() == "ready\n"
        join(at, made.pid)
        yield made
        made.stdin.close()


def grown(made: subprocess.Popen[str], order: str) -> tuple[int, Counters]:
    """What the service says came of an order, and what the kernel counted meanwhile."""
    assert made.stdin is not None and made.stdout is not None
    before = read_counters(made.pid)
    made.stdin.write(f"{order}\n")
    made.stdin.flush()
    came = int(made.stdout.readline())
    return came, read_counters(made.pid).since(before)


@pytest.mark.beside
def test_a_process_that_the_limit_of_tasks_forbids_is_counted() -> None:
    with limited("pids", {1: ("pids.max", "1"), 2: ("pids.max", "1")}) as made:
        came, counted = grown(made, "fork")
    assert came == errno.EAGAIN and counted.tasks_refused == 1


@pytest.mark.beside
def test_memory_that_is_used_up_is_counted_with_who_was_killed_for_it() -> None:
    of_64 = {1: ("memory.limit_in_bytes", "64M"), 2: ("memory.max", "64M")}
    with limited("memory", of_64) as made:
        calm, none = grown(made, "fork")
        came, counted = grown(made, "take")
    assert calm == 0 and none.oom_kills == 0
    assert came == signal.SIGKILL and counted.oom_kills == 1
    assert counted.memory_hits is not None and counted.memory_hits > 0


@pytest.mark.long
def test_a_quota_is_what_stops_a_service_and_more_of_it_is_foreseen(tmp_path: Path) -> None:
    half = {1: ("cpu.cfs_quota_us", "50000"), 2: ("cpu.max", "50000 100000")}
    with group("cpu", half) as at, service("grinding") as (made, port):
        join(at, made.pid)
        # A baseline takes a hundred requests: a minute of it at 2/s.
        ramp = 'start = "10/s"\nbudget = "30s"\nbaseline = "5s"\nhold = "8s"'
        question(tmp_path, port, ramp=ramp, slo='latency = { p90 = "<= 500ms" }')
        words = ("investigate", "--pid", str(made.pid), "--allow-busy")
        subprocess.run([sys.executable, "-m", "perfhunt", *words], cwd=tmp_path, check=True)
    run: dict[str, Any] = run_json(tmp_path)
    assert run["bottleneck"]["class"] == "cpu-quota"
    assert run["bottleneck"]["evidence"][-1].startswith("With 1 core instead of 0.5 it would hold")
