"""Whoever comes to a master or stands where one should be: what it is told, what it can make others
do, and how both are ended while they wait.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gevent
import psutil
import pytest
from gevent import socket

import perfhunt as perfhunt_package
from perfhunt.load.child.fleet.channel import Channel
from perfhunt.load.child.fleet.proving import proven_worker
from perfhunt.load.messages import (
    WORKER_ANSWERS,
    Flooded,
    FloodTarget,
    Heartbeat,
    LoadError,
    LoadReady,
    Message,
    OpenLoad,
    OpenShare,
    RunShare,
    SendProbe,
    WorkerDone,
    WorkerSecond,
)
from perfhunt.model.question import Question, RequestTemplate, Target
from perfhunt.model.slo import Slo
from perfhunt.model.traffic.parts import Feed
from perfhunt.model.trial import Phase, Step
from perfhunt.model.units import Seconds
from perfhunt.target.leash import SECRET_VARIABLE
from perfhunt.version import __version__
from tests.live.load_targets.harness import announced, python
from tests.live.running import question, service, until

pytestmark = [pytest.mark.live, pytest.mark.beside]

SECRET, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2
STARTS_WITHIN: Seconds = 40.0  # it imports Locust
GREETING = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + b"\x00" * 48  # ZeroMQ's


def keep(directory: Path, secret: str = SECRET) -> Path:
    """A file with the secret, for its user alone."""
    path = directory / "secret"
    path.write_text(secret)
    path.chmod(0o600)
    return path


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def perfhunt(*words: str, directory: Path) -> Iterator[subprocess.Popen[str]]:
    """perfhunt, running; killed at the end with all it started."""
    process = subprocess.Popen(
        [sys.executable, "-m", "perfhunt", *words],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "CANARY_VARIABLE": "CANARYenvironment", SECRET_VARIABLE: OTHER},
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


class Master:
    """Stands where a worker's master should be, and knows the secret."""

    def __init__(self, port: int, directory: Path, *words: str) -> None:
        self._server = socket.socket()
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._server.bind(("127.0.0.1", port))
        self._server.listen()
        self._running = perfhunt(
            *("worker", "--master", f"127.0.0.1:{port}", "--secret", str(keep(directory))),
            *words,
            directory=directory,
        )

    def __enter__(self) -> Master:
        self.worker = self._running.__enter__()
        with gevent.Timeout(STARTS_WITHIN):
            connection = proven_worker(self._server.accept()[0], SECRET)
        self.channel: Channel[Any] = Channel(connection, WORKER_ANSWERS)
        self._answers = self.channel.messages()
        self.silent = False
        gevent.spawn(self._beat)
        return self

    def __exit__(self, *raised: object) -> None:
        self.channel.close()
        self._running.__exit__(None, None, None)
        self._server.close()

    def _beat(self) -> None:
        while True:
            if not self.silent:
                self.channel.send(Heartbeat())
            gevent.sleep(0.2)

    def ask(self, order: Message) -> Message:
        """What the worker says to it, heartbeats left aside."""
        self.channel.send(order)
        with gevent.Timeout(STARTS_WITHIN):
            answer: Message = next(a for a in self._answers if not isinstance(a, Heartbeat))
            return answer


def share(url: str, *traffic: RequestTemplate, most: float = 50.0, **more: Any) -> OpenShare:
    asked = Question(Target(url), traffic, Slo(()), **more)
    load = OpenLoad(question=asked, run="r", deadline=2.0, in_flight=10, limit=0.5, pin=False)
    return OpenShare(load=load, variables={}, most=most)


def seen(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}/seen") as response:
        paths: dict[str, int] = json.load(response)["paths"]
        return paths


PLAIN = RequestTemplate("x", "GET", "/stolen")


def test_a_master_gets_nothing_of_a_worker_that_its_user_did_not_allow(tmp_path: Path) -> None:
    feed, code, ran = tmp_path / "cards.csv", tmp_path / "some.py", tmp_path / "ran"
    feed.write_text("card\n4111-CANARY\n")
    code.write_text(f"open({str(ran)!r}, 'w').write('x')\n")
    fed = RequestTemplate("x", "GET", "/stolen?{card}", feed=Feed(str(feed), ("card",), ""))
    # A variable of the worker's own, though the name stands in its environment.
    stolen = RequestTemplate("x", "GET", "/stolen", headers=(("X", "${CANARY_VARIABLE}"),))
    step = Step(Phase.FIXED, 20.0, 1.0, seed=1)
    with (
        announced(*python("listener.py")) as url,
        Master(free_port(), tmp_path, "--max-rate", "50/s") as master,
    ):
        elsewhere = url.replace("127.0.0.1", "192.0.2.1")  # for documentation (RFC 5737)
        orders = {
            "CANARY_VARIABLE": share(url, stolen),
            "may not read": share(url, fed),
            "may not read ": share(url, PLAIN, locustfile=str(code)),
            "may not send load to '192.0.2.1'": share(elsewhere, PLAIN),
            "50/s at most": share(url, PLAIN, most=50.1),
            "no place": RunShare(step=step, grace=1.0, epoch=1.0, part=0, of=1),
            "no place ": SendProbe(endpoint=0, timeout=1.0),
        }
        for why, order in orders.items():
            answer = master.ask(order)
            assert isinstance(answer, LoadError)
            assert why.strip() in answer.why
            assert "CANARYenvironment" not in answer.why
            assert "4111" not in answer.why
        assert isinstance(master.ask(FloodTarget(connections=9, seconds=1.0)), LoadError)
        assert master.worker.poll() is None, "it is still there for what it may do"
        assert not ran.exists()
        assert seen(url) == {}


def test_what_a_worker_s_user_allowed_is_done_and_no_more_than_that(tmp_path: Path) -> None:
    feed = tmp_path / "cards.csv"
    feed.write_text("card\nann\n")
    fed = RequestTemplate("x", "GET", "/fed/{card}", feed=Feed(str(feed), ("card",), ""))
    fast = Step(Phase.FIXED, 51.0, 1.0, seed=1)
    slow = Step(Phase.FIXED, 50.0, 1.0, seed=1, arrivals="uniform")
    with (
        announced(*python("listener.py")) as url,
        Master(
            *(free_port(), tmp_path),
            *("--max-rate", "50/s", "--allow-file", str(tmp_path)),
        ) as master,
    ):
        assert isinstance(master.ask(share(url, fed, most=50.0)), LoadReady)
        # Opened once, it is not aimed elsewhere.
        assert isinstance(master.ask(share(url, PLAIN)), LoadError)
        at = time.monotonic() + 0.5
        answer = master.ask(RunShare(step=fast, grace=1.0, epoch=at, part=0, of=1))
        assert isinstance(answer, LoadError)
        assert "50/s at most" in answer.why
        assert not isinstance(master.ask(FloodTarget(connections=2, seconds=0.1)), Flooded)
        assert seen(url) == {}
        at = time.monotonic() + 0.5
        answer = master.ask(RunShare(step=slow, grace=1.0, epoch=at, part=0, of=1))
        while isinstance(answer, WorkerSecond):
            answer = master.ask(Heartbeat())
        assert isinstance(answer, WorkerDone)
        assert seen(url) == {"GET /fed/ann": 50}


@pytest.mark.parametrize("how", ["hangs up", "breaks the rules"])
def test_load_ends_with_its_master(how: str, tmp_path: Path) -> None:
    long = Step(Phase.FIXED, 50.0, 60.0, seed=1)
    with announced(*python("listener.py")) as url, Master(free_port(), tmp_path) as master:
        assert isinstance(master.ask(share(url, PLAIN)), LoadReady)
        order = RunShare(step=long, grace=1.0, epoch=time.monotonic() + 0.3, part=0, of=1)
        assert isinstance(master.ask(order), WorkerSecond)
        if how == "hangs up":
            master.channel.close()
        else:
            master.channel._connection.sendall(b"\xff" * 8)
        assert master.worker.wait(5) == (0 if how == "hangs up" else 1)
        before = seen(url)
        assert before["GET /stolen"] > 10
        time.sleep(0.3)
        assert seen(url) == before


@pytest.mark.parametrize("stranger", ["another secret", "ZeroMQ"])
def test_a_worker_tells_a_stranger_nothing_and_says_why_it_ends(
    stranger: str, tmp_path: Path
) -> None:
    port, heard = free_port(), b""
    server = socket.socket()
    server.bind(("127.0.0.1", port))
    server.listen()
    words = ("worker", "--master", f"127.0.0.1:{port}", "--secret", str(keep(tmp_path)))
    with perfhunt(*words, directory=tmp_path) as worker:
        with gevent.Timeout(STARTS_WITHIN):
            connection, _ = server.accept()
            if stranger == "ZeroMQ":
                connection.sendall(GREETING)
                heard = connection.recv(1 << 16)
                connection.close()
            else:
                with contextlib.suppress(Exception):
                    proven_worker(connection, OTHER)
        _, said = worker.communicate(timeout=STARTS_WITHIN)
    server.close()
    assert worker.returncode == 1
    assert "is not this worker's master" in said
    assert "Traceback" not in said
    assert SECRET not in said
    assert SECRET.encode() not in heard


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_waits_for_its_master_ends_when_it_is_told_to(
    number: signal.Signals, tmp_path: Path
) -> None:
    words = ("worker", "--master", f"127.0.0.1:{free_port()}", "--secret", str(keep(tmp_path)))
    with perfhunt(*words, directory=tmp_path) as worker:
        assert worker.stderr is not None
        assert "waits up to 5m00s for a master at" in worker.stderr.readline()
        family = psutil.Process(worker.pid).children(recursive=True)
        assert len(family) == 1
        for process in [psutil.Process(worker.pid), *family]:  # nowhere to be read by others
            assert SECRET not in " ".join([*process.cmdline(), *process.environ().values()])
        os.kill(worker.pid, number)
        assert worker.wait(5) == 105
        name = "Ctrl-C" if number == signal.SIGINT else number.name
        assert f"stopped by {name}" in worker.stderr.read()
        assert until(lambda: not any(map(alive, family)), 2)


def alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


@contextlib.contextmanager
def waiting_master(
    directory: Path, words: Sequence[str] = ()
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """perfhunt that waits for a worker, and where."""
    port = free_port()
    with service("threaded") as (target, listens):
        question(directory, listens)
        text = directory.joinpath("perfhunt.toml").read_text()
        traffic = (
            '[[traffic]]\nname = "x"\nrequest = "GET /?t=CANARYquery"\n'
            'headers = { Authorization = "Bearer CANARYheader" }\n'
        )
        directory.joinpath("perfhunt.toml").write_text(text + traffic)
        with perfhunt(
            *("investigate", "--pid", str(target.pid), "--quick", "--profile", "off"),
            *("--bind", f"127.0.0.1:{port}", "--secret", str(keep(directory)), "--allow-busy"),
            *words,
            directory=directory,
        ) as master:
            assert until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, 40)
            yield master, port


def test_a_master_tells_strangers_nothing_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    with waiting_master(tmp_path) as (master, port):
        heard = b""
        for content in (GREETING, b"\xc1\xff not msgpack", b"GET / HTTP/1.1\r\n\r\n", b""):
            with contextlib.closing(socket.create_connection(("127.0.0.1", port))) as stranger:
                stranger.settimeout(10)  # twice as long as it has to prove itself
                stranger.sendall(content)
                with contextlib.suppress(OSError):
                    while more := stranger.recv(1 << 16):
                        heard += more
        assert master.poll() is None, "a stranger ended it"
        assert b"CANARY" not in heard
        assert len(heard) < 100  # alerts of TLS
        for process in psutil.Process(master.pid).children(recursive=True):
            told = " ".join([*process.cmdline(), *process.environ().values()])
            assert SECRET not in told
            assert OTHER not in told, "the variable was passed on"
        began = time.monotonic()
        master.send_signal(signal.SIGTERM)
        _, said = master.communicate(timeout=10)
        assert time.monotonic() - began < 5
        assert master.returncode == 105
        assert "SIGTERM" in said
    kept = [
        path.read_bytes() for path in tmp_path.joinpath(".perfhunt").rglob("*") if path.is_file()
    ]
    assert kept
    assert not any(SECRET.encode() in content for content in kept)


def test_another_version_is_refused_on_both_sides_before_anything_is_asked_of_it(
    tmp_path: Path,
) -> None:
    package = Path(perfhunt_package.__file__).parent
    shutil.copytree(package, tmp_path / "other" / "perfhunt", ignore=shutil.ignore_patterns("demo"))
    (tmp_path / "other/perfhunt/version.py").write_text('__version__ = "9.8.7"\n')
    with waiting_master(tmp_path) as (master, port):
        words = ("worker", "--master", f"127.0.0.1:{port}", "--secret", str(tmp_path / "secret"))
        worker = subprocess.run(
            [sys.executable, "-m", "perfhunt", *words],
            env={**os.environ, "PYTHONPATH": str(tmp_path / "other")},
            capture_output=True,
            text=True,
            timeout=STARTS_WITHIN,
            check=False,
        )
        _, said = master.communicate(timeout=STARTS_WITHIN)
    here = f"is version {__version__}, this one is 9.8.7\n  Install the same version on every host"
    assert f"the perfhunt master at 127.0.0.1:{port} {here}" in worker.stderr
    assert "joined" not in worker.stderr
    there = f"is version 9.8.7, this one is {__version__}\n  Install the same version on every host"
    assert f"the perfhunt worker on 127.0.0.1 {there}" in said
    assert (worker.returncode, master.returncode) == (1, 1)


def test_the_killswitch_is_looked_at_while_workers_are_waited_for(tmp_path: Path) -> None:
    with waiting_master(tmp_path) as (master, _):
        tmp_path.joinpath(".perfhunt", "stop").touch()
        master.communicate(timeout=10)
        assert master.returncode == 105


def test_workers_that_are_started_here_listen_nowhere(tmp_path: Path) -> None:
    """What a stranger could come to first is not there: each has its end of a socket pair."""
    from perfhunt.load.locust_engine import LocustEngine

    with announced(*python("listener.py")) as url:
        engine = LocustEngine(workers=2)
        try:
            engine.open(Question(Target(url), (PLAIN,), Slo(())), (), tmp_path)
            child = psutil.Process(engine.child_pid)
            family = [child, *child.children(recursive=True)]
            assert len(family) == 3
            listens = [
                each
                for process in family
                for each in process.net_connections()
                if each.status == psutil.CONN_LISTEN
            ]
        finally:
            engine.close()
    assert listens == []
