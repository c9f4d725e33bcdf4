"""One question's traffic, opened: what sends it, when, and in which mix. The same in a lone child
and in a worker.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import gevent
import locust
import numpy as np
from locust.env import Environment

from perfhunt.errors import LoadFailed
from perfhunt.load.child.host import pin_apart, ports_in_use
from perfhunt.load.child.http.client import Client, Limits, ServerAddress
from perfhunt.load.child.http.tls import context
from perfhunt.load.child.lifeline import raise_descriptor_limit
from perfhunt.load.child.pacer import Pacer, Report, Schedule, Traffic
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.users.closed import ClosedLoop
from perfhunt.load.child.users.locustfile import read_locustfile
from perfhunt.load.child.users.tasks import USERS, UserTasks
from perfhunt.load.render import prepare
from perfhunt.model.document.plain import from_plain
from perfhunt.model.latency import RequestOutcome
from perfhunt.model.question import Question
from perfhunt.model.trial import Step, arrivals, feed_rows, mix
from perfhunt.model.units import PerSecond, Seconds

BOUND = 6.0  # times rate x limit; overload (analysis.overload) is at 1.5
BOUND_LEAST = 512


class TrafficSource:
    """Everything that is needed to send the traffic of one question, in this process."""

    def __init__(self, order: dict[str, Any], environment: Environment) -> None:
        """`order` is the controller's order to open. Raises LoadFailed."""
        question: Question = from_plain(Question, order["question"])
        self._question, self._environment = question, environment
        environment.host = question.target.url
        self._descriptors = raise_descriptor_limit()
        self._pinning = (
            pin_apart(question.target.url)
            if order["pin"]
            else "not pinned: several load processes share the cores"
        )
        self._address = _resolve(question, order["addresses"])
        bound = min(order["in_flight"], self._descriptors - 200)
        self._limits = Limits(question.ramp.timeout, order["deadline"], bound)
        self._limit: Seconds | None = order["limit"]
        self._traffic: Traffic
        self._closed: ClosedLoop | None = None
        if question.locustfile is not None:
            self._open_locustfile(question.locustfile, order["run"])
        else:
            self._open_endpoints(order["run"])
        self._pacer = Pacer(self._traffic)

    def _open_endpoints(self, run: str) -> None:
        authority = urlsplit(self._question.target.url).netloc.rpartition("@")[2]
        endpoints = [prepare(e, authority, run, os.environ) for e in self._question.traffic]
        self._feeds = [e.rows for e in endpoints]
        self._routes, self._weights = (
            [e.endpoint.name for e in endpoints],
            [e.endpoint.weight for e in endpoints],
        )
        self._traffic = Client(gevent.get_hub().loop, self._address, endpoints, self._limits)
        self._warm: Callable[[Step], None] = _nothing

    def _open_locustfile(self, path: str, run: str) -> None:
        url = self._question.target.url
        errands = read_locustfile(path, url)
        self._feeds = [1] * len(errands)
        self._routes, self._weights = [e.name for e in errands], [e.weight for e in errands]
        self._limits = replace(self._limits, in_flight=min(USERS, self._limits.in_flight))
        users = UserTasks(errands, self._environment, self._limits, url, run)
        self._traffic = users
        self._warm = lambda step: users.warm(step.rate, step.seed)
        if self._question.ramp.loop == "closed":
            self._closed = ClosedLoop([*{e.user: None for e in errands}], url)

    def about(self) -> dict[str, Any]:
        """What the controller must know of it."""
        return {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "timer": self._pacer.timer_kind,
            "locust": locust.__version__,
            "descriptors": self._descriptors,
            "address": str(self._address.sockaddr[0]),
            "in_flight": self._limits.in_flight,
            "routes": self._routes,
            "weights": self._weights,
            "pinning": self._pinning,
        }

    def warm(self, step: Step) -> None:
        """Whatever must be ready before the first arrival of a step."""
        self._warm(step)

    def run(
        self,
        step: Step,
        grace: Seconds,
        recorder: Recorder,
        report: Report,
        epoch: Seconds = 0.0,
        part: int = 0,
        of: int = 1,
    ) -> dict[str, Any]:
        """Sends the step's arrivals, or every `of`-th of them from `part` on, from `epoch` (0: at
        once).
        """
        if self._closed is not None:
            return self._closed.run(step, grace, recorder, report)
        if not epoch:
            self.warm(step)
        whole = self._schedule(step)
        mine = Schedule(whole.due[part::of], whole.endpoint[part::of], whole.row[part::of])
        self._traffic.limits = replace(self._limits, in_flight=self._bound(step.rate / of))
        done = self._pacer.run(mine, step.duration, grace, recorder, report, epoch)
        return {
            **done,
            "fds_share": done["most_open"] / self._descriptors,
            "ports_share": ports_in_use(),
        }

    def _bound(self, rate: PerSecond) -> int:
        """How many requests may be in flight: several times what counts as overload, so that none
        waits before that.

        Past it the answer is known, and more would only bury the service: arrivals wait here, and
        are shed at the deadline.
        """
        if self._limit is None:
            return self._limits.in_flight
        return min(self._limits.in_flight, max(BOUND_LEAST, math.ceil(BOUND * rate * self._limit)))

    def stop(self, hard: bool) -> None:
        """Takes the load off."""
        self._pacer.stop(hard)
        if self._closed is not None:
            self._closed.stop()

    def flood(self, connections: int, seconds: Seconds) -> dict[str, Any]:
        """See Pacer.flood."""
        return self._pacer.flood(connections, seconds)

    def _schedule(self, step: Step) -> Schedule:
        due = arrivals(step.seed, step.rate, step.duration, step.arrivals)
        endpoint = mix(step.seed, len(due), self._weights)
        row = np.zeros(len(due), dtype=np.uint32)
        for index, rows in enumerate(self._feeds):
            if rows > 1:
                chosen = endpoint == index
                row[chosen] = feed_rows(step.seed, len(due), rows)[chosen]
        return Schedule(due, endpoint, row)

    def probe(self, endpoint: int, timeout: Seconds) -> dict[str, Any]:
        """One request on its own: how it ended, how long it took, and how many of earlier trials
        are still unanswered.
        """
        one = Schedule(
            np.zeros(1), np.array([endpoint], dtype=np.uint16), np.zeros(1, dtype=np.uint32)
        )
        recorder = Probe()
        done = self._pacer.run(one, 0.001, timeout, recorder, _no_report)
        return {
            "outcome": recorder.outcome,
            "service": recorder.service,
            "orphans": done["orphans"],
        }


class Probe(Recorder):
    """Keeps the last sample in its hands instead of writing it."""

    __slots__ = ("outcome", "service")

    def __init__(self) -> None:
        super().__init__("")
        self.outcome: int = RequestOutcome.CUT
        self.service: Seconds = 0.0

    def add(
        self,
        due: float,
        lag: float,
        service: float,
        size: int,
        status: int,
        endpoint: int,
        outcome: int,
        wait: float,
    ) -> None:
        self.outcome, self.service = int(outcome), service


def _no_report(row: dict[str, Any]) -> None:
    """Nobody watches a probe."""


def _nothing(step: Step) -> None:
    """Endpoints need no users prepared."""


def _resolve(question: Question, allowed: Collection[str]) -> ServerAddress:
    """The first of the host's addresses that takes a connection, else the first; of `allowed` ones,
    if any are named.

    Raises LoadFailed when there is none.
    """
    parts = urlsplit(question.target.url)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    try:
        found = socket.getaddrinfo(
            host, parts.port or (443 if secure else 80), type=socket.SOCK_STREAM
        )
    except OSError as error:
        raise LoadFailed(
            f"{host} does not resolve: {error.strerror or error}",
            "Check target.url in perfhunt.toml.",
        ) from None
    found = [one for one in found if not allowed or str(one[4][0]).partition("%")[0] in allowed]
    if not found:
        raise LoadFailed(
            f"{host} does not resolve to {', '.join(allowed)} any more",
            "Nothing was sent. Run again to clear it anew.",
        )
    tls = context(question.target.verify_tls) if secure else None
    choices = [ServerAddress(family, where, tls, host) for family, _, _, _, where in found]
    return next((a for a in choices if _accepts(a)), choices[0]) if len(choices) > 1 else choices[0]


def _accepts(address: ServerAddress) -> bool:
    with socket.socket(address.family, socket.SOCK_STREAM) as sock:
        sock.settimeout(1.0)
        return sock.connect_ex(address.sockaddr) == 0
