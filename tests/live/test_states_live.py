"""The state sampler against threads that are known to do one thing each."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perfhunt.model.states import States, ThreadState, ThreadTime
from perfhunt.profilers.state_sampler import StateSampler
from tests.live.profiler_targets.launch import Target, eventually, interpreter, running

pytestmark = pytest.mark.live
S = ThreadState


def sampled(target: Target, seconds: float = 1.0) -> States:
    with StateSampler([target.pid]) as sampler:
        sampler.mark()
        time.sleep(seconds)
        return sampler.take("test")


def of(states: States, target: Target, role: str) -> list[ThreadTime]:
    tids = target.told["tids"][role]
    return [thread for thread in states.threads if thread.tid in tids]


@pytest.mark.parametrize(
    "version",
    [
        f"3.{minor}"
        if minor in (8, sys.version_info[1], 14)
        else pytest.param(f"3.{minor}", marks=pytest.mark.long)
        for minor in range(8, 16)
    ],
)
def test_waiting_for_the_gil_is_told_apart_from_waiting_for_any_other_lock(version: str) -> None:
    python = interpreter(version)
    if not python:
        pytest.skip(f"no Python {version} is here, or none runs")
    locks = ("lock", "timed_lock", "event", "timed_event", "queue_get")
    with running("threads.py", "spin", "spin", "spin", *locks, program=python) as target:
        states = sampled(target, 0.6)
        spinning = [thread.states for thread in of(states, target, "spin")]
        assert len(spinning) == 3
        for thread in spinning:
            # Whatever else the machine does: off the CPU and out of its queue, such a thread waits
            # for the GIL.
            off = 1.0 - thread[S.ON_CPU] - thread[S.RUN_QUEUE]
            assert thread.get(S.GIL, 0) > 0.9 * off - 0.05, thread
            assert thread.get(S.LOCK, 0) < 0.05
            assert sum(thread.values()) == pytest.approx(1.0, abs=0.05)
        assert sum(thread.get(S.GIL, 0) for thread in spinning) > 0.15
        # One GIL: never more than one core between them.
        assert sum(thread[S.ON_CPU] for thread in spinning) < 1.1
        for role in locks:
            (waiting,) = of(states, target, role)
            assert waiting.states[S.LOCK] > 0.95, role


def test_without_a_gil_threads_run_at_once_and_none_waits_for_it() -> None:
    python = interpreter("3.13t")
    if not python:
        pytest.skip("no Python 3.13t is here, or none runs")
    with running("threads.py", "spin", "spin", "lock", program=python) as target:
        states = sampled(target, 0.6)
        for thread in of(states, target, "spin"):
            assert thread.states[S.ON_CPU] + thread.states[S.RUN_QUEUE] > 0.95, thread
        (waiting,) = of(states, target, "lock")
        assert waiting.states[S.LOCK] > 0.95
        assert not any(S.GIL in thread.states for thread in states.threads)


def test_a_socket_wait_names_the_endpoint_whichever_call_it_waits_in() -> None:
    roles = ("receive", "receive_with_timeout", "select_one", "epoll_one")
    with running("threads.py", *roles) as target:
        states = sampled(target)
        endpoint = f"127.0.0.1:{target.told['port']}"
        for role in roles:
            (waiting,) = of(states, target, role)
            assert waiting.endpoints[endpoint] > 0.95, role
        assert states.endpoints()[endpoint] == pytest.approx(len(roles), abs=0.1)


def test_a_unix_socket_is_named_by_the_path_of_its_server() -> None:
    with running("threads.py", "unix") as target:
        (waiting,) = of(sampled(target, 0.5), target, "unix")
        Path(f"/tmp/perfhunt-test-{target.pid}.sock").unlink()
        assert list(waiting.endpoints) == [f"unix:/tmp/perfhunt-test-{target.pid}.sock"]


def test_waiting_for_work_is_not_waiting_for_a_dependency() -> None:
    roles = ("epoll", "epoll_woken", "epoll_many", "accept", "keep_alive")
    with running("threads.py", *roles) as target:
        states = sampled(target)
        for role in roles:
            (waiting,) = of(states, target, role)
            assert waiting.states[S.POLL] > 0.95, role
        assert states.endpoints() == {}


def test_sleep_is_sleep() -> None:
    with running("threads.py", "sleep") as target:
        (waiting,) = of(sampled(target, 0.5), target, "sleep")
        assert waiting.states[S.SLEEP] > 0.95


def test_flushing_to_disk_is_seen_as_a_wait_for_the_disk_and_for_nothing_else() -> None:
    with running("threads.py", "fsync") as target:
        (writing,) = of(sampled(target, 2.0), target, "fsync")
        waits = {state for state, share in writing.states.items() if share > 0.02} - {
            S.ON_CPU,
            S.RUN_QUEUE,
        }
        assert waits == {S.DISK}, writing.states


def test_time_of_threads_that_lived_only_briefly_is_kept() -> None:
    with running("threads.py", "brief") as target:
        before = target.ask()
        states = sampled(target, 1.5)
        burnt = target.ask() - before
        brief = [thread for thread in states.threads if thread.tid == 0]
        assert len(brief) == 1 and "short-lived" in brief[0].name
        # Threads of 5 ms between looks 20 ms apart: those never met are lost, the met ones are
        # counted from their birth.
        assert 0 < states.in_state(S.ON_CPU) <= burnt / states.seconds * 1.1


def test_a_worker_that_was_replaced_is_followed_by_its_successor() -> None:
    with running("prefork.py") as target:
        old, kept = target.told["workers"]
        with StateSampler(target.told["workers"], root=target.pid) as sampler:
            os.kill(old, 9)
            children = Path(f"/proc/{target.pid}/task/{target.pid}/children")
            assert eventually(
                lambda: (
                    len(children.read_text().split()) == 2 and str(old) not in children.read_text()
                )
            )
            time.sleep(1.2)  # the tree is looked at once a second
            sampler.mark()
            time.sleep(1.0)
            states = sampler.take("after")
        pids = {thread.pid for thread in states.threads}
        assert kept in pids and old not in pids and target.pid not in pids and len(pids) == 2


def test_without_permission_the_time_on_cpu_is_still_exact() -> None:
    if os.getuid() != 0:
        pytest.skip("only root can start a target that another user may not trace")
    script = (
        "import os, sys, time; sys.path[:0] = sys.argv[2:]\n"
        "from perfhunt.profilers.state_sampler import StateSampler\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "with StateSampler([int(sys.argv[1])]) as s:\n"
        "    time.sleep(1); r = s.take('x')\n"
        "busy = r.in_state('on_cpu') + r.in_state('run_queue')\n"
        "print(r.source, busy, r.in_state('unknown'), len(r.notes))"
    )
    with running("threads.py", "spin", "sleep") as target:
        said = subprocess.run(
            [sys.executable, "-c", script, str(target.pid), *sys.path],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert said.returncode == 0, said.stderr
        source, busy, unknown, notes = said.stdout.split()
        assert source == "schedstat" and int(notes) == 1
        assert float(busy) == pytest.approx(1.0, abs=0.1)
        assert float(unknown) == pytest.approx(2.0, abs=0.15)  # the sleeper and the main thread


def test_sampling_leaves_the_target_as_fast_as_it_was_and_says_what_it_cost() -> None:
    with running("threads.py", "spin", *["idle"] * 30) as target:
        states = sampled(target, 1.5)
        assert 0 < states.cost < 0.1
