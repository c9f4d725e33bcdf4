"""Other work beside a target, seen by what it takes: ratios, on a core that both share."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from perfhunt.analysis.trial.interference import disturbed
from perfhunt.model.trial import Interference
from perfhunt.target.host.interference import InterferenceMonitor
from perfhunt.target.host.partners import listening_at
from tests.live.profiler_targets.launch import Target, running

pytestmark = pytest.mark.live

SECONDS = 3.0
# A partner: it burns a core for whoever is connected to it.
WORKS_FOR = """
import socket
with open("/proc/self/comm", "w") as name:
    name.write("works-for")
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
while True:
    sum(range(1000))
"""
CALLS = """
import socket, sys, time
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print("connected", flush=True)
time.sleep(1000)
"""


@contextmanager
def started(code: str, *words: str) -> Iterator[tuple[int, str]]:
    """(pid, first line) of a program that runs while the context lasts."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.pid, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def seen(root: int, ours: int) -> Interference:
    """What takes the machine from a target; everything that a test starts is others' work but
    `ours`.
    """
    monitor = InterferenceMonitor(root, ours)
    monitor.start()
    try:
        time.sleep(SECONDS)
        return monitor.take()
    finally:
        monitor.close()


def on_one_core(*targets: Target) -> None:
    """All threads of the targets on the same core."""
    core = {min(os.sched_getaffinity(0))}
    for target in targets:
        for tid in os.listdir(f"/proc/{target.pid}/task"):
            os.sched_setaffinity(int(tid), core)


def test_a_burner_on_the_targets_core_is_interference_and_alone_it_has_none() -> None:
    with running("threads.py", "sleep") as ours, running("threads.py", "spin") as target:
        on_one_core(target)
        alone = seen(target.pid, ours.pid)
        with running("threads.py", "spin") as burner:
            on_one_core(burner)
            beside = seen(target.pid, ours.pid)
    assert alone.target_waited is not None and alone.target_ran is not None
    assert beside.target_waited is not None and beside.target_ran is not None
    # Two that want one core have half of it each; less where a third wants it too.
    assert 0.5 < beside.target_ran / beside.target_waited < 1.6
    assert beside.target_waited > 1.15 * alone.target_waited
    assert beside.target_ran < 0.85 * alone.target_ran
    assert disturbed(beside).startswith("other work on this host (")
    assert beside.others is not None and beside.others > 0.4
    assert beside.readings >= 4 and beside.speed is not None and 0 < beside.speed <= 1


def test_threads_of_one_target_that_want_the_same_core_are_no_interference() -> None:
    with running("threads.py", "sleep") as ours, running("threads.py", "child", "spin") as target:
        on_one_core(target)
        taken = seen(target.pid, ours.pid)
    assert taken.target_waited is not None and taken.others is not None
    # What the hypervisor gave to other machines is others' too.
    stolen = (taken.steal or 0.0) * (taken.cores or 0.0)
    assert taken.target_waited <= taken.others + stolen + 0.01


def test_who_works_for_the_target_is_a_partner_and_not_a_neighbour() -> None:
    with running("threads.py", "sleep") as ours, started(WORKS_FOR) as (_, port):
        with started(CALLS, port) as (target, connected):
            assert connected == "connected"
            beside = seen(target, ours.pid)
        stranger = seen(ours.pid, ours.pid)
    assert "works-for" not in {neighbour.name for neighbour in beside.busiest}
    # It burns on when its client has gone, and is a stranger to a target that never called it.
    assert "works-for" in {neighbour.name for neighbour in stranger.busiest}


def test_who_listens_where_the_target_waits_is_a_partner_though_no_connection_is_met() -> None:
    with running("threads.py", "sleep") as target, started(WORKS_FOR) as (pid, port):
        place = f"127.0.0.1:{port}"
        assert listening_at(
            [place, "client:8000", "pipe:[7]", "unix:/none"], [pid, target.pid]
        ) == {pid}
        assert listening_at(["127.0.0.1:1", "[::1]:2"], [pid]) == set()
        # Whoever connects lets it begin to burn, and is gone at once.
        socket.create_connection(("127.0.0.1", int(port))).close()
        monitor = InterferenceMonitor(target.pid, target.pid, waited_on=lambda: {place, "socket"})
        monitor.start()
        try:
            monitor.take()
            time.sleep(SECONDS)
            taken = monitor.take()
        finally:
            monitor.close()
    assert "works-for" not in {neighbour.name for neighbour in taken.busiest}


def test_watching_costs_little() -> None:
    with running("threads.py", "sleep") as target:
        monitor = InterferenceMonitor(target.pid, target.pid)
        monitor.start()
        try:
            monitor.take()
            began = time.process_time()
            time.sleep(SECONDS)
            cost = time.process_time() - began
        finally:
            monitor.close()
    assert cost < 0.01 * SECONDS
