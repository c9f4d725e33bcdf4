"""A load worker: Locust's worker runner, and this process's share of the arrivals. It obeys one
master and dies without it.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import gevent
import locust
from gevent.event import AsyncResult
from locust.env import Environment

from perfhunt.errors import LoadFailed
from perfhunt.load.child.recorder import SampleBuffer
from perfhunt.load.child.source import TrafficSource
from perfhunt.load.messages import (
    CHANNEL,
    WORKER_ORDERS,
    ClockReading,
    Flooded,
    FloodTarget,
    Heartbeat,
    Joined,
    LoadError,
    LoadReady,
    MalformedMessage,
    OpenLoad,
    ProbeAnswered,
    ReadClock,
    RunShare,
    SecondReport,
    SendProbe,
    StopLoad,
    WorkerAnswer,
    WorkerDone,
    WorkerOrder,
    WorkerSecond,
    encode,
)
from perfhunt.model.text.error_words import error_words
from perfhunt.model.units import Seconds

BEAT: Seconds = 0.2  # between heartbeats: several may be late before anybody is given up
# Without a word from the master the load comes off, so that it is off within a second of its death.
ALONE_AFTER: Seconds = 0.9
GONE_AFTER: Seconds = 10 * ALONE_AFTER  # the master does not come back


class Worker:
    """Listens to the master and does what it says, one order after the other."""

    def __init__(self, master: str) -> None:
        """Joins the master at HOST:PORT."""
        host, _, port = master.rpartition(":")
        self._environment = Environment(events=locust.events, catch_exceptions=False)
        self._runner: Any = self._environment.create_worker_runner(host, int(port))
        self._source: TrafficSource | None = None
        self._heard = time.monotonic()
        self._alone = False
        self._over: AsyncResult[None] = AsyncResult()
        self._runner.register_message(CHANNEL, self._on_message)
        self._send(Joined())

    def serve(self) -> None:
        """Works until the master is gone."""
        gevent.sleep(0)  # as in session: the hub puts itself in that place when it starts
        gevent.get_hub().loop.error_handler = self
        events: Any = self._environment.events
        events.init.fire(environment=self._environment, runner=self._runner, web_ui=None)
        gevent.spawn(self._beat)
        self._over.get()

    def _beat(self) -> None:
        while True:
            gevent.sleep(BEAT)
            silent = time.monotonic() - self._heard
            if silent > ALONE_AFTER and self._source is not None:
                self._source.stop(hard=True)
                self._alone = True
            if silent > GONE_AFTER:
                self._over.set(None)
            self._send(Heartbeat())

    def handle_error(self, where: Any, kind: Any, value: Any, trace: Any) -> None:
        """From the event loop: a callback raised."""
        if issubclass(kind, Exception):
            self._fail(value)

    def _fail(self, error: Exception) -> None:
        sys.stderr.write(f"{error_words(error)}\n")
        self._send(LoadError.of(error))

    def _send(self, answer: WorkerAnswer) -> None:
        self._runner.send_message(CHANNEL, encode(answer))

    def _on_message(self, environment: Any, msg: Any, **more: Any) -> None:
        """From the master. What takes long gets a greenlet, so that "stop" is heard meanwhile."""
        self._heard = time.monotonic()
        try:
            order = WORKER_ORDERS.decode(msg.data)
        except MalformedMessage as error:
            self._fail(error)
            return
        match order:
            case Heartbeat():
                pass  # the master lives; hearing it was all
            case ReadClock():
                self._send(ClockReading(at=order.at, theirs=time.monotonic()))
            case StopLoad():
                if self._source is not None:
                    self._source.stop(order.hard)
            case _:
                gevent.spawn(self._carry_out, order)

    def _carry_out(self, order: WorkerOrder) -> None:
        try:
            self._send(self._answer(order))
        except Exception as error:  # the boundary: a worker must not fail in silence
            self._fail(error)

    def _answer(self, order: WorkerOrder) -> LoadReady | WorkerDone | ProbeAnswered | Flooded:
        if isinstance(order, OpenLoad):
            self._source = TrafficSource(order, self._environment)
            return self._source.ready()
        if self._source is not None:
            match order:
                case RunShare():
                    return self._run(self._source, order)
                case SendProbe():
                    return self._source.probe(order.endpoint, order.timeout)
                case FloodTarget():
                    return self._source.flood(order.connections, order.seconds)
        raise LoadFailed(f"{type(order).__name__} came where it has no place")

    def _run(self, source: TrafficSource, order: RunShare) -> WorkerDone:
        self._alone = False
        buffer = SampleBuffer()

        def report(second: SecondReport) -> None:
            self._send(WorkerSecond(report=second, samples=buffer.take()))

        done = source.run(
            order.step, order.grace, buffer, report, order.epoch, order.part, order.of
        )
        invalid = "a load worker heard nothing from its master, and stopped" if self._alone else ""
        return WorkerDone(done=done, samples=buffer.take(), invalid=invalid)


def main(master: str) -> int:
    """Serves the master at HOST:PORT until it is gone; 1 when it was never there."""
    try:
        Worker(master).serve()
    except ConnectionError:
        sys.stderr.write(f"no perfhunt master answers at {master}\n")
        return 1
    return 0
