"""Several load processes send exactly what one would, and the loss of one is never passed over."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.latency import SAMPLE
from perfhunt.model.question import LoopKind, Question, Ramp, RequestTemplate, Target
from perfhunt.model.slo import Slo
from perfhunt.model.trial import Drain, arrivals
from tests.live.load_targets.harness import P99, announced, python, step
from tests.live.test_strangers import seen as paths_seen

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    with announced(*python("timed.py", "constant", "0.005")) as url:
        yield url


@contextlib.contextmanager
def fleet(url: str, directory: Path) -> Iterator[LocustEngine]:
    made = LocustEngine(run="test", workers=2)
    try:
        made.open(
            Question(Target(url), (RequestTemplate("root", "GET", "/"),), Slo(())),
            (P99,),
            directory,
        )
        yield made
    finally:
        made.close()


def test_two_workers_together_send_the_schedule_of_one_each_arrival_once(
    target: str, tmp_path: Path
) -> None:
    with fleet(target, tmp_path) as made:
        pids = [clock.pid for clock in made.clocks]
        trial = made.run(step(200, 2.0))
        assert made.drain(Drain(cap=5)).recovered
        assert len(set(pids)) == 2
        assert all(psutil.pid_exists(pid) for pid in pids)
    samples = np.fromfile(tmp_path / trial.samples, dtype=SAMPLE)
    np.testing.assert_array_equal(np.sort(samples["due"]), arrivals(1, 200, 2.0))
    assert sum(row.due for row in trial.rows) == trial.n == len(samples)
    assert trial.invalid == ""
    deadline = (
        time.monotonic() + 5
    )  # a worker ends by itself within a second; a busy machine may be slow to reap it
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() < deadline, "a worker outlived its master"
        time.sleep(0.01)


CLOSED = """
from locust import FastHttpUser, constant_throughput, task
class Often(FastHttpUser):
    wait_time = constant_throughput(10)
    weight = 3
    @task
    def t(self): self.client.get("/often")
class Seldom(FastHttpUser):
    wait_time = constant_throughput(10)
    @task
    def t(self): self.client.get(f"/seldom?n={id(self)}")
"""


def test_users_of_a_closed_loop_are_shared_and_all_that_they_ask_for_counts(
    tmp_path: Path,
) -> None:
    (tmp_path / "users.py").write_text(CLOSED)
    ramp = Ramp(loop=LoopKind.CLOSED)
    made = LocustEngine(run="test", workers=3)
    with announced(*python("listener.py")) as url:
        asked = Question(Target(url), (), Slo(()), locustfile=str(tmp_path / "users.py"), ramp=ramp)
        try:
            made.open(asked, (P99,), tmp_path)
            trials = [made.run(step(8, 3.0)), made.run(step(4, 2.0))]
            seen = paths_seen(url)
        finally:
            made.close()
    assert [trial.invalid for trial in trials] == ["", ""]
    counted = Counter[str]()
    for trial, users in zip(trials, (8, 4), strict=True):
        samples = np.fromfile(tmp_path / trial.samples, dtype=SAMPLE)
        assert len(samples) == pytest.approx(users * 10 * trial.seconds, rel=0.15)
        routes = np.bincount(samples["endpoint"], minlength=2)
        counted.update(dict(zip(trial.routes, routes, strict=True)))
        assert any(f"closed loop: {users} users" in note for note in trial.generator.notes)
        # Six of eight and three of four are of the class that weighs three times as much.
        assert routes.max() / routes.min() == pytest.approx(3, rel=0.25)
    # Whatever the workers' own order of the names, all is counted once, and under its own name.
    assert counted == {"GET /often": seen["GET /often"], "GET /seldom": seen["GET /seldom"]}


SHARED = """
import json
from perfhunt.load.child.users.closed import shared_out
class Often: weight, fixed_count = 5, 0
class Seldom: weight, fixed_count = 1, 0
class Three: weight, fixed_count = 1, 3
kinds = [Often, Seldom, Three]
numbers = [(users, of) for users in (1, 2, 7, 12, 100) for of in (1, 2, 4, 7)]
print(json.dumps([(users, of, shared_out(kinds, users, of)) for users, of in numbers]))
"""


def test_users_are_shared_out_so_that_together_they_are_those_of_one_process() -> None:
    """In a process of its own, which Locust changes as it likes."""
    command = [sys.executable, "-c", SHARED]
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    alone = {users: shares[0] for users, of, shares in told if of == 1}
    assert len(told) == 20
    for users, of, shares in told:
        together = Counter[str]()
        for share in shares:
            together.update(share)
        assert len(shares) == of
        assert together == alone[users]
        assert together.total() == users
        sizes = [sum(share.values()) for share in shares]
        assert max(sizes) - min(sizes) <= 1


def test_a_lost_worker_is_noticed_within_two_seconds_and_spoils_the_trial(
    target: str, tmp_path: Path
) -> None:
    with fleet(target, tmp_path) as made:
        killed: list[float] = []

        def kill_one(row: object) -> None:
            if not killed:
                os.kill(made.clocks[1].pid, 9)
                killed.append(time.monotonic())

        trial = made.run(step(100, 20.0), watch=kill_one)
        assert time.monotonic() - killed[0] < 3.0
        assert "was lost" in trial.invalid
        # The one that is left sends no step by itself: the next is shared by two again.
        left = made.clocks[0].pid
        again = made.run(step(100, 1.0))
        assert again.invalid == ""
        assert again.n == len(arrivals(1, 100, 1.0))
        assert left not in [clock.pid for clock in made.clocks]


def test_a_stop_reaches_every_worker_within_a_second(target: str, tmp_path: Path) -> None:
    with fleet(target, tmp_path) as made:
        began = time.monotonic()
        trial = made.run(
            step(100, 20.0), stop=lambda: "enough" if time.monotonic() - began > 1.0 else ""
        )
        assert time.monotonic() - began < 2.0
    assert trial.invalid == "stopped: enough"
    assert trial.seconds < 1.5
