"""Load goes where it was cleared and nowhere else, whatever a locustfile does: measured where it
arrives.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from perfhunt.errors import LoadFailed
from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.latency import UNCAUSED
from perfhunt.model.question import LoopKind, Question, Ramp, RequestTemplate, Target
from perfhunt.model.slo import Slo
from perfhunt.model.units import Seconds
from tests.live.load_targets.harness import P99, step
from tests.live.load_targets.receiver import BEGUN, Receiver

pytestmark = [pytest.mark.live, pytest.mark.beside]

PROMISED: Seconds = 1.0
# Known to nobody but the locustfile, and under way between the steps too.
IN_THE_BACKGROUND = """
import gevent
from locust import FastHttpUser, task
class U(FastHttpUser):
    def on_start(self):
        gevent.spawn(self.poll)
    def poll(self):
        while True:
            self.client.get("/poll")
            gevent.sleep(0.02)
    @task
    def t(self): self.client.get("/")
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@contextlib.contextmanager
def opened(
    url: str, directory: Path, text: str, *, connects: tuple[str, ...] = (), closed: bool = False
) -> Iterator[LocustEngine]:
    """An engine with a locustfile."""
    locustfile = directory / "locustfile.py"
    locustfile.write_text(text)
    made = LocustEngine(run="test", connects=connects)
    ramp = Ramp(loop=LoopKind.CLOSED) if closed else Ramp()
    question = Question(
        Target(url),
        (RequestTemplate("root", "GET", "/"),),
        Slo(()),
        ramp,
        locustfile=str(locustfile),
    )
    try:
        made.open(question, (P99,), directory)
        yield made
    finally:
        made.close()


FOLLOWS = """
from locust import {user}, constant_throughput, task
class U({user}):
    wait_time = constant_throughput(10)
    @task
    def t(self): self.client.get("/", headers={{"Authorization": "Bearer of-the-target"}})
"""


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("user", ["HttpUser", "FastHttpUser"])
def test_a_redirect_to_another_host_is_a_failure_that_names_it_and_goes_nowhere(
    user: str, closed: bool, tmp_path: Path
) -> None:
    there = Receiver("127.0.0.2")
    here = Receiver(head=f"HTTP/1.1 302 Found\r\nLocation: {there.url}/login\r\n")
    try:
        with opened(here.url, tmp_path, FOLLOWS.format(user=user), closed=closed) as made:
            trial = made.run(step(2 if closed else 20, 2.0))
        assert len(here.arrivals) >= BEGUN
        assert there.arrivals == []
        assert trial.outcomes.keys() <= {"not_cleared", "cut"}
        assert trial.outcomes["not_cleared"] >= BEGUN / 2
        place = f"127.0.0.2:{there.port}"
        assert trial.generator.refused.keys() == {place}
        assert trial.generator.refused[place] >= trial.outcomes["not_cleared"]
    finally:
        here.close()
        there.close()


# What a database's client does: connects once, on import, and asks it before every request.
WITH_TEST_DATA = """
import socket
from locust import FastHttpUser, task
DATA = socket.create_connection(("127.0.0.1", {port}), timeout=5)
class U(FastHttpUser):
    @task
    def t(self):
        self.client.get("/")
"""


def test_a_source_of_test_data_is_connected_to_where_it_is_named_and_not_else(
    receiver: Receiver, tmp_path: Path
) -> None:
    data = Receiver()
    text = WITH_TEST_DATA.format(port=data.port)
    try:
        with pytest.raises(LoadFailed, match=f"NotCleared.*127.0.0.1:{data.port}"):  # noqa: SIM117
            with opened(receiver.url, tmp_path, text):
                pass
        with opened(receiver.url, tmp_path, text, connects=(f"127.0.0.1:{data.port}",)) as made:
            trial = made.run(step(20, 1.0))
        assert trial.outcomes == {"ok": trial.n}
        assert trial.generator.refused == {}
    finally:
        data.close()


def test_what_a_locustfile_leaves_running_does_not_outlive_a_stop(
    receiver: Receiver, tmp_path: Path
) -> None:
    """Between two steps nobody follows the load."""
    with opened(receiver.url, tmp_path, IN_THE_BACKGROUND) as made:
        reasons = [""]
        trial = made.run(step(20, 1.0), stop=lambda: reasons[0])
        assert trial.invalid == ""
        receiver.begun()
        stopped = time.monotonic()
        reasons[0] = "the killswitch"
        assert receiver.last() - stopped < PROMISED
        again = made.run(step(20, 1.0, arrivals="uniform"))  # by a child that was started anew
        assert again.invalid == ""
        # What it sends in the background counts beside its tasks.
        assert again.n - again.routes[UNCAUSED].response.n == 20
    assert again.outcomes == {"ok": again.n}
