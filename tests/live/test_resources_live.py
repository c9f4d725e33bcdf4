"""What a target's tree uses, against the target's own account of it."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import pytest

from perfhunt.model.question import ProcessSelector
from perfhunt.model.run import Process, TargetProcess
from perfhunt.model.trial import Resources
from perfhunt.target.find import find_target
from perfhunt.target.proc.process import stat
from perfhunt.target.resources.life import TargetLife
from perfhunt.target.resources.monitor import OpenFiles, ResourceMonitor, nearest_to_limit
from tests.live.profiler_targets.launch import Target, eventually, running

pytestmark = pytest.mark.live


def watched(target: Target, seconds: float) -> tuple[Resources, float]:
    """The resources of a span, and the CPU seconds the target itself says it used meanwhile."""
    monitor = ResourceMonitor(find_target(ProcessSelector(pid=target.pid)))
    monitor.start()
    try:
        before = target.ask()
        monitor.take()
        time.sleep(seconds)
        taken = monitor.take()
        return taken, target.ask() - before
    finally:
        monitor.close()


@pytest.mark.parametrize("role", ["spin", "brief"])
def test_cpu_seconds_are_those_of_the_targets_own_account_threads_that_ended_included(
    role: str,
) -> None:
    with running("threads.py", role) as target:
        taken, own = watched(target, 2.0)
    assert taken.cpu is not None and taken.cpu_seconds is not None and taken.cpu_limit is not None
    assert taken.cpu_seconds == pytest.approx(own, rel=0.05, abs=0.03)
    assert taken.cpu == pytest.approx(taken.cpu_seconds / taken.seconds)
    assert taken.cpu_share == pytest.approx(taken.cpu / taken.cpu_limit)


@pytest.mark.beside
def test_children_that_came_and_went_are_counted() -> None:
    with running("threads.py", "child") as target:
        taken, own = watched(target, 2.0)
    assert own > 0.2
    # The target's own account leaves out the child that is running, one tenth of a second at most.
    assert taken.cpu_seconds == pytest.approx(own, rel=0.1, abs=0.15)


def test_memory_that_grows_has_the_slope_it_grows_with() -> None:
    with running("threads.py", "grow") as target:
        taken, _ = watched(target, 3.0)
    assert taken.rss_slope == pytest.approx(20e6, rel=0.35)
    assert (
        taken.rss_peak is not None and taken.rss is not None and taken.rss_peak >= taken.rss > 30e6
    )


def test_memory_that_does_not_grow_has_no_slope() -> None:
    with running("threads.py", "sleep") as target:
        taken, own = watched(target, 1.5)
    assert taken.rss_slope == pytest.approx(0.0, abs=1e5)
    assert taken.cpu_seconds == pytest.approx(own, abs=0.03)
    assert (taken.processes, taken.threads) == (1, 2)


@pytest.mark.beside
def test_connections_are_counted_per_remote_endpoint_and_those_of_clients_are_not() -> None:
    with running("threads.py", "receive", "receive", "select_one", "keep_alive") as target:
        # The target's dependency is here, so that its listener is not the target's own.
        taken, _ = watched(target, 1.5)
    assert taken.connections[f"127.0.0.1:{target.told['port']}"] == 3


@pytest.mark.beside
def test_the_accept_queue_is_as_long_as_the_clients_nobody_accepted() -> None:
    with running("threads.py", "sleep") as target:
        clients = [socket.create_connection(("127.0.0.1", target.told["served"])) for _ in range(5)]
        taken, _ = watched(target, 1.2)
        for client in clients:
            client.close()
    assert (taken.accept_queue, taken.accept_backlog) == (5, 7)
    assert taken.unread == 0.0


@pytest.mark.beside
def test_clients_that_sent_and_whom_nobody_read_are_counted() -> None:
    with running("threads.py", "sleep") as target:
        clients = [socket.create_connection(("127.0.0.1", target.told["served"])) for _ in range(5)]
        for client in clients[:3]:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        taken, _ = watched(target, 1.2)
        for client in clients:
            client.close()
    assert taken.unread == 3.0
    assert taken.unread_error < 0.5  # of a dozen looks and more


@pytest.mark.beside
def test_the_whole_tree_of_a_prefork_server_is_one_target() -> None:
    with running("prefork.py") as target:
        found = found_without_listener(target.pid)
        monitor = ResourceMonitor(found)
        monitor.start()
        time.sleep(1.5)
        taken = monitor.take()
        assert taken.processes == 3
        assert taken.cpu is not None and 0.1 < taken.cpu < 2.2  # a shared machine gives what it has
        assert monitor.dead() == ""
        monitor.close()


@pytest.mark.beside
def test_a_target_that_is_killed_is_dead_at_once_and_a_zombie_is_no_life() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "print('ready', flush=True); import time; time.sleep(60)"], stdout=-1
    ) as one:
        assert one.stdout is not None and one.stdout.readline() == b"ready\n"
        monitor = ResourceMonitor(found_without_listener(one.pid))
        monitor.start()
        assert monitor.dead() == ""
        one.kill()
        assert eventually(lambda: "zombie" in monitor.dead(), within=1.0)
        one.wait()
        assert "gone" in monitor.dead()
        taken = monitor.take()
        assert taken.cpu_seconds is None and taken.rss is None
        monitor.close()


@pytest.mark.beside
def test_a_pid_that_was_given_to_another_process_is_not_the_target() -> None:
    target = found_without_listener(os.getpid())
    other = TargetProcess(
        root=target.root,
        processes=(as_if_started_earlier(target.processes[0]),),
        listeners=(),
        workers=target.workers,
        runtime="cpython",
        runtime_version="",
    )
    assert "another process has its number" in ResourceMonitor(other).dead()


@pytest.mark.beside
def test_a_server_whose_workers_are_gone_for_long_is_dead_though_its_master_lives() -> None:
    with running("threads.py", "sleep") as target:
        worker = subprocess.Popen(["sleep", "60"])
        clock, waiting = iter([0.0, 1.0, 3.9, 4.1, 4.2]), [0]  # asked at; clients then
        found = found_without_listener(target.pid, worker.pid)
        life = TargetLife(found, lambda: next(clock), lambda: waiting[0])
        assert life.ended() == ""
        worker.kill()
        worker.wait()
        assert life.ended() == life.ended() == ""  # its master may be about to replace it
        assert life.ended() == ""  # or does so when somebody asks
        waiting[0] = 1
        assert "workers" in life.ended()


@pytest.mark.beside
def test_a_target_that_is_stopped_in_the_middle_is_told_with_what_lets_it_go_on() -> None:
    with running("threads.py", "sleep") as target:
        clock = iter([0.0, 1.0, 2.0, 3.0, 4.0, 5.1])  # asked at
        life = TargetLife(found_without_listener(target.pid), lambda: next(clock))
        assert life.ended() == ""
        for signal_, state in ((signal.SIGSTOP, "T"), (signal.SIGCONT, "S"), (signal.SIGSTOP, "T")):
            os.kill(target.pid, signal_)
            assert eventually(partial(has_state, target.pid, state), within=5.0)
            assert life.ended() == ""
        assert life.ended() == ""
        assert f"kill -CONT {target.pid} lets it go on" in life.ended()


def has_state(pid: int, state: str) -> bool:
    now = stat(pid)
    return now is not None and now.state == state


def found_without_listener(*pids: int) -> TargetProcess:
    """A target made by hand: the first pid is its root, the others its workers (itself when there
    are none).
    """
    made = []
    for pid in pids:
        now = stat(pid)
        assert now is not None
        made.append(
            Process(
                pid=pid,
                parent=now.parent,
                started=now.started,
                exe=f"/proc/{pid}/exe",
                cmdline=(),
                cwd="/",
                uid=0,
                threads=now.threads,
                runtime="cpython",
            )
        )
    return TargetProcess(
        pids[0],
        tuple(made),
        (),
        pids[1:] or pids[:1],
        "cpython",
        "",
        cpu_limit=2.0,
        cpu_limit_source="test",
    )


def as_if_started_earlier(process: Process) -> Process:
    return replace(process, started=process.started - 1.0)


GREEDY = """
import os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
try:
    while True:
        os.dup(0)
except OSError as error:
    print(error.errno, flush=True)
input()
"""


def test_a_process_that_may_open_no_more_files_is_the_one_at_its_limit() -> None:
    words = [sys.executable, "-c", GREEDY]
    with subprocess.Popen(words, stdin=-1, stdout=-1, text=True) as greedy:
        assert greedy.stdout is not None
        assert int(greedy.stdout.readline()) == errno.EMFILE
        assert nearest_to_limit([os.getpid(), greedy.pid]) == OpenFiles(20, 20)
        greedy.communicate("\n")
