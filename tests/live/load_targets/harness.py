"""Starts a real server, and an engine aimed at it; ends both whatever happens."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.question import LocustOptions, Question, Ramp, RequestTemplate, Target
from perfhunt.model.slo import Criterion, Slo
from perfhunt.model.traffic.parts import Expect
from perfhunt.model.trial import Phase, Step, Trial
from tests.live.load_targets.timed import PERIOD, STALL

HERE = Path(__file__).parent
P99 = Criterion("latency.p99", 0.4, 0.01)
ANY_BELOW_400 = Expect()


@contextlib.contextmanager
def announced(*command: str) -> Iterator[str]:
    """A server that prints "ready PORT"; gives its url."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        word, port = process.stdout.readline().split()
        assert word == "ready"
        yield f"http://127.0.0.1:{port}"
    finally:
        _end(process)


@dataclass(frozen=True)
class Measured:
    """What timed.py measured of itself: of each request, in the order they were read, when it was
    read, when its answer was due, and when it was about to be written. Seconds, shape (n,).
    """

    read: NDArray[Any]
    ready: NDArray[Any]
    written: NDArray[Any]

    @property
    def held(self) -> NDArray[Any]:
        """How long the server kept each request. No client can see less."""
        return self.written - self.read

    @property
    def stall(self) -> float:
        """How long a stall truly was, on average: as long as planned, and as late as its end
        came.
        """
        phase = (self.read - self.read[0]) % PERIOD
        stalled = phase >= PERIOD - STALL
        return float(STALL + np.mean((self.written - self.ready)[stalled]))


def measured(url: str) -> Measured:
    """What a timed.py at `url` measured so far."""
    with urllib.request.urlopen(f"{url}/measured") as response:
        requests = np.array(sorted(json.load(response)))
    return Measured(*requests.T)


@contextlib.contextmanager
def listening(port: int, *command: str) -> Iterator[str]:
    """A server that says nothing: ready when `port` takes connections."""
    process = subprocess.Popen(
        command,
        cwd=HERE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 15
        while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        _end(process)


def _end(process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def python(name: str, *arguments: str) -> tuple[str, ...]:
    """The command for a server of this folder."""
    return (sys.executable, str(HERE / name), *arguments)


@contextlib.contextmanager
def engine(
    url: str,
    directory: Path,
    *endpoints: RequestTemplate,
    criteria: tuple[Criterion, ...] = (P99,),
    ramp: Ramp | None = None,
    locustfile: str | None = None,
    keep_error_text: bool = False,
    locust_options: LocustOptions = (),
    locust_classes: tuple[str, ...] = (),
    workers: int = 1,
) -> Iterator[LocustEngine]:
    """An open engine, aimed at the endpoints (the root without any) or at what a locustfile asks
    for.
    """
    question = Question(
        Target(url),
        endpoints or (RequestTemplate("root", "GET", "/"),),
        Slo(()),
        ramp or Ramp(),
        locustfile=locustfile,
        keep_error_text=keep_error_text,
        locust_options=locust_options,
        locust_classes=locust_classes,
    )
    made = LocustEngine(run="test", workers=workers)
    try:
        made.open(question, criteria, directory)
        yield made
    finally:
        made.close()


def step(
    rate: float,
    seconds: float,
    *,
    settle: float = 0.0,
    stop: bool = False,
    arrivals: str = "poisson",
    seed: int = 1,
) -> Step:
    """A step of the given rate; does not stop on overload unless asked to."""
    return Step(Phase.FIXED, rate, seconds, seed, settle, stop, arrivals)


def try_path(
    url: str,
    directory: Path,
    path: str,
    method: str = "GET",
    ramp: Ramp | None = None,
    expect: Expect = ANY_BELOW_400,
) -> Trial:
    """Twenty requests to one path within half a second."""
    template = RequestTemplate("it", method, path, expect=expect)
    with engine(url, directory, template, ramp=ramp or Ramp(timeout=1.0)) as made:
        return made.run(step(40, 0.5, arrivals="uniform"))
