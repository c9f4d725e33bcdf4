"""Limits of the kernel's control groups, made here and met by a real process."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from perfhunt.target.proc import cgroup
from perfhunt.target.resources.counters import Counters, read_counters

pytestmark = [pytest.mark.live, pytest.mark.beside]

MIB = 1 << 20
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
def limited(controller: str, limits: dict[int, tuple[str, int]]) -> Iterator[subprocess.Popen[str]]:
    """The service in a group of its own below ours, with the limit that this version of
    control groups has; skips where none may be made.
    """
    ours = cgroup.find(os.getpid(), controller)
    if ours is None:
        pytest.skip(f"no control group for {controller} is to be seen")
    at, (file, value) = ours.directory / f"perfhunt-test-{os.getpid()}", limits[ours.version]
    try:
        at.mkdir()
    except OSError as error:
        pytest.skip(f"no control group for {controller} may be made: {error}")
    try:
        try:
            (at / file).write_text(str(value))
        except OSError as error:
            pytest.skip(f"no limit of {controller} may be set: {error}")
        with subprocess.Popen(
            [sys.executable, "-c", SERVICE], stdin=-1, stdout=-1, text=True
        ) as service:
            assert service.stdout is not None
            assert service.stdout.readline() == "ready\n"
            (at / "cgroup.procs").write_text(str(service.pid))
            yield service
            service.kill()
    finally:
        at.rmdir()


def grown(service: subprocess.Popen[str], order: str) -> tuple[int, Counters]:
    """What the service says came of an order, and what the kernel counted meanwhile."""
    assert service.stdin is not None and service.stdout is not None
    before = read_counters(service.pid)
    service.stdin.write(f"{order}\n")
    service.stdin.flush()
    came = int(service.stdout.readline())
    return came, read_counters(service.pid).since(before)


def test_a_process_that_the_limit_of_tasks_forbids_is_counted() -> None:
    with limited("pids", {1: ("pids.max", 1), 2: ("pids.max", 1)}) as service:
        came, counted = grown(service, "fork")
    assert came == errno.EAGAIN and counted.tasks_refused == 1


def test_memory_that_is_used_up_is_counted_with_who_was_killed_for_it() -> None:
    of_64 = {1: ("memory.limit_in_bytes", 64 * MIB), 2: ("memory.max", 64 * MIB)}
    with limited("memory", of_64) as service:
        calm, none = grown(service, "fork")
        came, counted = grown(service, "take")
    assert calm == 0 and none.oom_kills == 0
    assert came == signal.SIGKILL and counted.oom_kills == 1
    assert counted.memory_hits is not None and counted.memory_hits > 0
