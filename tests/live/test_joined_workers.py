"""A worker of a master on another host: its load ends without its event loop, and no row of orders
gets round what its user allowed.
"""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path

import gevent
import msgspec
import pytest

from perfhunt.load.messages import (
    Heartbeat,
    LoadError,
    LoadReady,
    RunShare,
    SendProbe,
    WorkerDone,
    WorkerSecond,
)
from perfhunt.model.question import LoopKind, Ramp, Target
from perfhunt.model.trial import Phase, Step
from tests.live.load_targets.harness import announced, python
from tests.live.running import until
from tests.live.test_load_ends import IN_ANOTHER_PROCESS, IN_THE_BACKGROUND, NEVER_YIELDS
from tests.live.test_strangers import PLAIN, Master, free_port, seen, share

pytestmark = [pytest.mark.live, pytest.mark.beside]

ENDINGS = ["is silent", "hangs up", "worker killed", "worker suspended"]
USERS = [NEVER_YIELDS, IN_THE_BACKGROUND, IN_ANOTHER_PROCESS]
# Each takes four seconds: the others are left to `scripts/test --all`.
_ALWAYS = {(NEVER_YIELDS, "is silent"), (NEVER_YIELDS, "hangs up"), (USERS[2], "worker killed")}


@pytest.mark.parametrize(
    ("users", "how"),
    [
        pytest.param(users, how, marks=() if (users, how) in _ALWAYS else pytest.mark.long)
        for users in USERS
        for how in ENDINGS
    ],
)
def test_load_of_a_locustfile_ends_with_master_and_worker_whatever_it_does(
    users: str, how: str, tmp_path: Path
) -> None:
    file = tmp_path / "locustfile.py"
    file.write_text(users)
    long = Step(Phase.FIXED, 20.0, 60.0, seed=1)
    with (
        announced(*python("listener.py")) as url,
        Master(free_port(), tmp_path, "--allow-file", str(file)) as master,
    ):
        assert isinstance(master.ask(share(url, locustfile=str(file))), LoadReady)
        order = RunShare(step=long, grace=1.0, epoch=time.monotonic() + 0.3, part=0, of=1)
        master.channel.send(order)
        gevent.sleep(0.5)
        assert until(lambda: sum(seen(url).values()) > 10, 5)
        match how:
            case "is silent":
                master.silent = True
            case "hangs up":
                master.channel.close()
            case "worker killed":
                master.worker.kill()
            case _:
                master.worker.send_signal(signal.SIGSTOP)
        time.sleep(1.0)
        before = seen(url)
        time.sleep(1.0)
        assert seen(url) == before


def test_orders_one_after_the_other_send_no_faster_than_was_allowed(tmp_path: Path) -> None:
    with (
        announced(*python("listener.py")) as url,
        Master(free_port(), tmp_path, "--max-rate", "4/s") as master,
    ):
        assert isinstance(master.ask(share(url, PLAIN, most=4.0)), LoadReady)
        long = Step(Phase.FIXED, 4.0, 60.0, seed=1)
        past = RunShare(step=long, grace=1.0, epoch=time.monotonic() - 60, part=0, of=1)
        answer = master.ask(past)
        assert isinstance(answer, LoadError)
        assert "after its first arrival" in answer.why
        began = time.monotonic()
        for _ in range(9):
            master.ask(SendProbe(endpoint=0, timeout=1.0))
        assert time.monotonic() - began >= 8 / 4.0
        assert seen(url) == {"GET /stolen": 9}


EAGER = """
from locust import FastHttpUser, constant, task
class U(FastHttpUser):
    wait_time = constant(0)
    @task
    def t(self): self.client.get("/eager")
"""


def test_users_of_a_closed_loop_send_no_faster_than_was_allowed_and_it_says_so(
    tmp_path: Path,
) -> None:
    file = tmp_path / "locustfile.py"
    file.write_text(EAGER)
    asked = share("http://127.0.0.1", locustfile=str(file), ramp=Ramp(loop=LoopKind.CLOSED))
    users = Step(Phase.FIXED, 6.0, 3.0, seed=1)
    words = ("--allow-file", str(file), "--max-rate", "20/s")
    with (
        announced(*python("listener.py")) as url,
        Master(free_port(), tmp_path, *words) as master,
    ):
        question = replace(asked.load.question, target=Target(url))
        load = msgspec.structs.replace(asked.load, question=question)
        assert isinstance(
            master.ask(msgspec.structs.replace(asked, load=load, most=9999.0)), LoadReady
        )
        many = replace(users, rate=20_002.0)
        refused = master.ask(RunShare(step=many, grace=1.0, epoch=time.monotonic(), part=0, of=2))
        assert isinstance(refused, LoadError)
        assert "10000 users at most" in refused.why
        began = time.monotonic()
        answer = master.ask(RunShare(step=users, grace=1.0, epoch=began + 0.4, part=1, of=2))
        met: tuple[str, ...] = ()
        while isinstance(answer, WorkerSecond):
            met += answer.met
            answer = master.ask(Heartbeat())
        assert isinstance(answer, WorkerDone)
        assert met + answer.met == ("GET /eager",)
        assert answer.done.users == 3
        assert "tasks had to wait, since it may begin 20/s (--max-rate)" in answer.invalid
        # A second's worth may begin at once.
        sent = seen(url)["GET /eager"]
        assert 20 < sent <= 20 * (1 + time.monotonic() - began)
