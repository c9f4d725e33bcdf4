"""Load ends within a second whatever becomes of its controller: measured where it arrives."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from perfhunt.model.units import Seconds
from tests.live.load_targets.receiver import AFTERWARDS, Receiver
from tests.live.running import run_json, until

pytestmark = [pytest.mark.live, pytest.mark.beside]

PROMISED: Seconds = 1.0
RATE = 40  # per second


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


CONTROLLER = """
import sys
from pathlib import Path
from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.question import LoopKind, Question, Ramp, RequestTemplate, Target
from perfhunt.model.slo import Slo
from perfhunt.model.trial import Phase, Step
url, directory, workers, rate, loop, locustfile = sys.argv[1:]
engine = LocustEngine(workers=int(workers))
question = Question(
    Target(url),
    () if locustfile else (RequestTemplate("it", "GET", "/"),),
    Slo(()),
    Ramp(loop=LoopKind(loop)),
    locustfile=locustfile or None,
)
engine.open(question, (), Path(directory))
trial = engine.run(Step(Phase.FIXED, float(rate), 60.0, 1, stop_on_overload=False))
print(trial.invalid, flush=True)
engine.close()
"""
ORDERLY = """
from locust import FastHttpUser, constant_throughput, task
class U(FastHttpUser):
    wait_time = constant_throughput(20)
    @task
    def t(self): self.client.get("/")
"""
# Clients in C, and tasks that never wait, hold the event loop: here a socket of the system's own.
NEVER_YIELDS = """
import gevent.monkey
from locust import User, task
original = gevent.monkey.get_original("socket", "socket")
sleep = gevent.monkey.get_original("time", "sleep")
class U(User):
    @task
    def t(self):
        host, port = self.host.removeprefix("http://").split(":")
        with original() as sock:
            sock.connect((host, int(port)))
            while True:
                sock.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
                sock.recv(4096)
                sleep(0.02)
"""
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
# A process of its own, which the interpreter's end would leave behind.
IN_ANOTHER_PROCESS = """
import subprocess, sys
from locust import FastHttpUser, events, task
class U(FastHttpUser):
    @task
    def t(self): self.client.get("/")
@events.init.add_listener
def fork(environment, **more):
    code = (
        "import sys, time, urllib.request\\nwhile True:\\n"
        "    urllib.request.urlopen(sys.argv[1] + '/fork').read(); time.sleep(0.05)"
    )
    subprocess.Popen([sys.executable, "-c", code, environment.host])
"""
TRAFFIC = {
    "requests": (1, "open", ""),
    "two workers": (2, "open", ""),
    "a locustfile": (1, "open", ORDERLY),
    "a closed loop": (1, "closed", ORDERLY),
    "a locustfile that never yields": (1, "open", NEVER_YIELDS),
    "a locustfile with something in the background": (1, "open", IN_THE_BACKGROUND),
    "a locustfile with a process of its own": (1, "open", IN_ANOTHER_PROCESS),
}


# Each takes six seconds: the others are left to `scripts/test --all`.
_ALWAYS = ("requests", "a locustfile that never yields", "a locustfile with a process of its own")
KINDS = [pytest.param(kind, marks=() if kind in _ALWAYS else pytest.mark.long) for kind in TRAFFIC]


@contextlib.contextmanager
def controller(
    receiver: Receiver, directory: Path, traffic: str
) -> Iterator[subprocess.Popen[str]]:
    """A process that commands load; whatever it started is ended with the block."""
    workers, loop, text = TRAFFIC[traffic]
    locustfile = directory / "locustfile.py"
    locustfile.write_text(text)
    words = [receiver.url, str(directory), str(workers), str(RATE if loop == "open" else 2), loop]
    process = subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, *words, str(locustfile) if text else ""],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            for each in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
            process.kill()
        if process.stdout is not None and not process.stdout.closed:
            process.communicate()


@pytest.mark.parametrize("traffic", KINDS)
def test_load_of_a_suspended_controller_ends_within_a_second_and_its_trial_says_so(
    traffic: str, receiver: Receiver, tmp_path: Path
) -> None:
    with controller(receiver, tmp_path, traffic) as process:
        receiver.begun()
        suspended = time.monotonic()
        process.send_signal(signal.SIGSTOP)
        assert receiver.last() - suspended < PROMISED
        process.send_signal(signal.SIGCONT)
        told, _ = process.communicate(timeout=20.0)
    assert told.startswith("stopped: ")
    assert "nothing was heard" in told


@pytest.mark.parametrize("traffic", KINDS)
def test_load_of_a_killed_controller_ends_within_a_second(
    traffic: str, receiver: Receiver, tmp_path: Path
) -> None:
    with controller(receiver, tmp_path, traffic) as process:
        receiver.begun()
        killed = time.monotonic()
        process.kill()
        assert receiver.last() - killed < PROMISED


def test_load_of_a_suspended_master_ends_at_its_workers_within_a_second(
    receiver: Receiver, tmp_path: Path
) -> None:
    with controller(receiver, tmp_path, "two workers") as process:
        receiver.begun()
        (master,) = psutil.Process(process.pid).children()
        suspended = time.monotonic()
        master.suspend()
        assert receiver.last() - suspended < PROMISED


QUESTION = """schema = 1
[target]
url = "{url}"
process = {{ pid = {pid} }}
[[traffic]]
name = "it"
request = "GET /"
[slo]
latency = {{ p99 = "<= 500ms" }}
[ramp]
mode = "staircase"
start = "30/s"
staircase = ["40/s for 60s"]
baseline = "3s"
max = "40/s"
"""


@contextlib.contextmanager
def investigation(
    receiver: Receiver, directory: Path, stdout: int
) -> Iterator[subprocess.Popen[bytes]]:
    """`perfhunt investigate --json` of this very process, of which the receiver is a part."""
    text = QUESTION.format(url=receiver.url, pid=os.getpid())
    (directory / "perfhunt.toml").write_text(text)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "perfhunt", "investigate", "--json"),
            *("--profile", "off", "--allow-busy"),
        ],
        cwd=directory,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.communicate(timeout=20.0)


def small_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, 1031, 4096)  # F_SETPIPE_SZ: a page, which a few events fill
    return reader, writer


def full(reader: int) -> bool:
    """Whether nothing more goes into a pipe of a page: as soon as there is anything in it."""
    waiting = bytearray(4)
    fcntl.ioctl(reader, 0x541B, waiting)  # FIONREAD
    return int.from_bytes(waiting, sys.byteorder) > 0


@pytest.mark.parametrize("how", ["killswitch", "signal"])
def test_a_reader_that_stalls_holds_up_no_stop(
    how: str, receiver: Receiver, tmp_path: Path
) -> None:
    reader, writer = small_pipe()
    with investigation(receiver, tmp_path, writer) as process:
        os.close(writer)
        assert until(lambda: full(reader), within=90.0)
        receiver.begun()  # the run goes on all the same
        stopped = time.monotonic()
        if how == "signal":
            process.send_signal(signal.SIGTERM)
        else:
            (tmp_path / ".perfhunt" / "stop").touch()
        assert receiver.last() - stopped < PROMISED
        assert process.wait(20.0) == 105
    os.close(reader)
    assert str(run_json(tmp_path)["ended"]).startswith("stopped: ")


def test_a_reader_that_goes_away_costs_the_run_nothing(receiver: Receiver, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with investigation(receiver, tmp_path, writer) as process:
        os.close(writer)
        os.close(reader)
        receiver.begun()
        time.sleep(AFTERWARDS)
        receiver.begun()
        process.send_signal(signal.SIGINT)
        assert process.wait(20.0) == 105
    assert str(run_json(tmp_path)["ended"]).startswith("stopped: stopped by Ctrl-C")


def test_a_run_that_was_suspended_is_told_as_stopped_and_not_judged_as_if_whole(
    receiver: Receiver, tmp_path: Path
) -> None:
    with investigation(receiver, tmp_path, subprocess.DEVNULL) as process:
        receiver.begun()
        suspended = time.monotonic()
        process.send_signal(signal.SIGSTOP)
        assert receiver.last() - suspended < PROMISED
        process.send_signal(signal.SIGCONT)
        assert process.wait(20.0) == 105
        assert process.stderr is not None
        assert "nothing was heard" in process.stderr.read().decode()
    run = run_json(tmp_path)
    assert str(run["ended"]).startswith("stopped: nothing was heard")
    assert run["verdict"] == "UNKNOWN"
    assert run["exit_code"] == 105
