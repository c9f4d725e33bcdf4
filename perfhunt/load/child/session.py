"""What the load child does between its first and its last message: Locust's runner, with the fast client as its user."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import gevent
import locust
import numpy as np
from gevent.event import AsyncResult
from gevent.queue import Queue
from locust import User, task
from locust.env import Environment

from perfhunt.errors import LoadFailed, PerfhuntError
from perfhunt.load.child.errands import USERS, Errands
from perfhunt.load.child.http import Address, Client, Limits
from perfhunt.load.child.lifeline import raise_descriptor_limit
from perfhunt.load.child.locustfile import read_locustfile
from perfhunt.load.child.pacer import Pacer, Schedule, Traffic
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.tls import context
from perfhunt.load.render import prepare
from perfhunt.model.latency import Outcome
from perfhunt.model.plain import from_plain
from perfhunt.model.question import Question
from perfhunt.model.schedule import arrivals, feed_rows, mix
from perfhunt.model.trial import Step
from perfhunt.model.units import Seconds

_READ = 1


def main() -> int:
    """Serves the controller until it hangs up. The exit code is 0 then, 1 after a failure that was reported."""
    try:
        Pipe().serve()
    except Exception as error:  # the boundary: whatever it is, the controller must hear of it
        traceback.print_exc()
        hint = error.hint if isinstance(error, PerfhuntError) else ""
        _send({"failed": str(error) or type(error).__name__, "hint": hint})
        return 1
    return 0


def _send(message: dict[str, Any]) -> None:
    content = json.dumps(message).encode() + b"\n"
    with contextlib.suppress(BrokenPipeError):
        while content:
            content = content[os.write(1, content) :]


class Pipe:
    """Reads the controller's lines in the event loop, so that "stop" and end-of-file act in the middle of a run."""

    def __init__(self) -> None:
        self._orders: Queue[dict[str, Any]] = Queue()
        self._crash: AsyncResult[None] = AsyncResult()
        self._read = b""
        self._session: Session | None = None

    def serve(self) -> None:
        """Carries out orders until stdin ends."""
        os.set_blocking(0, False)
        hub = gevent.get_hub()
        # A callback of the loop that raises would otherwise be printed and forgotten.
        hub.loop.error_handler = self
        watcher = hub.loop.io(0, _READ)
        watcher.start(self._on_readable)
        first = self._orders.get()
        self._session = Session(first)
        gevent.spawn(self._session.serve, self._orders).link_exception(self._on_death)
        self._crash.get()

    def handle_error(self, where: Any, kind: Any, value: Any, trace: Any) -> None:
        """From the event loop: a callback or a greenlet raised."""
        if issubclass(kind, Exception):
            self._crash.set_exception(value)

    def _on_death(self, greenlet: Any) -> None:
        self._crash.set_exception(greenlet.exception)

    def _on_readable(self) -> None:
        try:
            content = os.read(0, 1 << 16)
        except BlockingIOError:
            return
        if not content:
            os._exit(0)
        *lines, self._read = (self._read + content).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if order["do"] == "stop" and self._session is not None:
                self._session.stop(order["hard"])
            else:
                self._orders.put(order)


class Session:
    """One question's load: what sends it and its pacer, run by the one user of an embedded Locust runner."""

    def __init__(self, order: dict[str, Any]) -> None:
        question: Question = from_plain(Question, order["question"])
        self._question = question
        # Locust's global events, where the listeners of a locustfile are.
        self._environment = Environment(events=locust.events, host=question.target.url, catch_exceptions=False)
        descriptors = raise_descriptor_limit()
        address = _resolve(question)
        bound = min(order["in_flight"], descriptors - 200)
        self._limits = Limits(question.ramp.timeout, order["deadline"], bound)
        self._traffic: Traffic
        if question.locustfile is not None:
            self._open_locustfile(question.locustfile, order["run"])
        else:
            self._open_endpoints(address, order["run"])
        self._pacer = Pacer(self._traffic, lambda row: _send({"row": row}))
        _send({"ready": {
            "pid": os.getpid(), "timer": self._pacer.timer_kind, "locust": locust.__version__, "descriptors": descriptors,
            "address": str(address.sockaddr[0]), "in_flight": bound, "routes": self._routes, "weights": self._weights,
        }})  # fmt: skip

    def _open_endpoints(self, address: Address, run: str) -> None:
        authority = urlsplit(self._question.target.url).netloc.rpartition("@")[2]
        endpoints = [prepare(e, authority, run, os.environ) for e in self._question.traffic]
        self._feeds = [e.rows for e in endpoints]
        self._routes, self._weights = [e.endpoint.name for e in endpoints], [e.endpoint.weight for e in endpoints]
        self._traffic = Client(gevent.get_hub().loop, address, endpoints, self._limits)
        self._warm: Callable[[Step], None] = _nothing

    def _open_locustfile(self, path: str, run: str) -> None:
        url = self._question.target.url
        errands, self._classes = read_locustfile(path, url)
        self._feeds = [1] * len(errands)
        self._routes, self._weights = [e.name for e in errands], [e.weight for e in errands]
        limits = replace(self._limits, in_flight=min(USERS, self._limits.in_flight))
        users = Errands(errands, self._environment, limits, url, run)
        self._traffic = users
        self._warm = lambda step: users.warm(step.rate, step.seed)

    def serve(self, orders: Queue[dict[str, Any]]) -> None:
        """Starts Locust's runner with one user, which carries out the orders. Returns when that user has died."""
        died: AsyncResult[None] = AsyncResult()
        session = self

        class Arrivals(User):
            """Stands for all traffic: its one task sends whole schedules through the fast client."""

            fixed_count = 1

            @task
            def carry_out(self) -> None:
                try:
                    session.carry_out(orders.get())
                except Exception as error:  # Locust would log it and go on
                    died.set_exception(error)
                    orders.get()

        environment = self._environment
        environment.user_classes = [Arrivals]
        runner = environment.create_local_runner()
        events: Any = environment.events
        events.init.fire(environment=environment, runner=runner, web_ui=None)
        runner.start(1, spawn_rate=1)
        died.get()

    def stop(self, hard: bool) -> None:
        """Takes the load off."""
        self._pacer.stop(hard)

    def carry_out(self, order: dict[str, Any]) -> None:
        """One order, start to end."""
        if order["do"] == "run":
            self._run(from_plain(Step, order["step"]), order["samples"], order["grace"])
        elif order["do"] == "probe":
            self._probe(order["endpoint"], order["timeout"])
        elif order["do"] == "flood":
            _send({"flooded": self._pacer.flood(order["connections"], order["seconds"])})
        else:
            raise LoadFailed(f"unknown order {order['do']!r}")

    def _run(self, step: Step, samples: str, grace: Seconds) -> None:
        self._warm(step)
        recorder = Recorder(samples)
        try:
            done = self._pacer.run(self._schedule(step), step.duration, grace, recorder)
        finally:
            recorder.close()
        _send({"done": done})

    def _schedule(self, step: Step) -> Schedule:
        due = arrivals(step.seed, step.rate, step.duration, step.arrivals)
        endpoint = mix(step.seed, len(due), self._weights)
        row = np.zeros(len(due), dtype=np.uint32)
        for index, rows in enumerate(self._feeds):
            if rows > 1:
                chosen = endpoint == index
                row[chosen] = feed_rows(step.seed, len(due), rows)[chosen]
        return Schedule(due, endpoint, row)

    def _probe(self, endpoint: int, timeout: Seconds) -> None:
        """One request on its own; says how it ended and how long it took."""
        one = Schedule(np.zeros(1), np.array([endpoint], dtype=np.uint16), np.zeros(1, dtype=np.uint32))
        recorder = Probe()
        done = self._pacer.run(one, 0.001, timeout, recorder)
        _send({"probed": {"outcome": recorder.outcome, "service": recorder.service, "orphans": done["orphans"]}})


class Probe(Recorder):
    """Keeps the last sample in its hands instead of writing it."""

    __slots__ = ("outcome", "service")

    def __init__(self) -> None:
        super().__init__("")
        self.outcome: int = Outcome.CUT
        self.service: Seconds = 0.0

    def add(
        self, due: float, lag: float, service: float, size: int, status: int, endpoint: int, outcome: int, wait: float
    ) -> None:
        self.outcome, self.service = int(outcome), service


def _nothing(step: Step) -> None:
    """Endpoints need no users prepared."""


def _resolve(question: Question) -> Address:
    """The first of the host's addresses that takes a connection, else the first. Raises LoadFailed when there is none."""
    parts = urlsplit(question.target.url)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    try:
        found = socket.getaddrinfo(host, parts.port or (443 if secure else 80), type=socket.SOCK_STREAM)
    except OSError as error:
        raise LoadFailed(f"{host} does not resolve: {error.strerror or error}", "Check target.url in perfhunt.toml.") from None
    tls = context(question.target.verify_tls) if secure else None
    choices = [Address(family, where, tls, host) for family, _, _, _, where in found]
    return next((a for a in choices if _accepts(a)), choices[0]) if len(choices) > 1 else choices[0]


def _accepts(address: Address) -> bool:
    with socket.socket(address.family, socket.SOCK_STREAM) as sock:
        sock.settimeout(1.0)
        return sock.connect_ex(address.sockaddr) == 0
