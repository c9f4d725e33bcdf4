"""A load worker: Locust's worker runner, and this process's share of the arrivals. It obeys one
master and dies without it.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from typing import Any

import gevent
import locust
from gevent.event import AsyncResult
from locust.env import Environment

from perfhunt.errors import PerfhuntError
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.source import TrafficSource
from perfhunt.model.document.plain import from_plain
from perfhunt.model.trial import Step
from perfhunt.model.units import Seconds

BEAT: Seconds = 0.2
ALONE_AFTER: Seconds = 0.9  # without a word from the master the load comes off


class Parcel(Recorder):
    """Keeps packed samples until they are taken to be sent."""

    __slots__ = ("_packed",)

    def __init__(self) -> None:
        super().__init__("")
        self._packed = bytearray()

    def _write(self, content: bytes | memoryview) -> None:
        self._packed += content
        super()._write(content)

    def take(self) -> bytes:
        """What has been collected since the last time."""
        self.flush()
        taken = bytes(self._packed)
        self._packed.clear()
        return taken


class Worker:
    """Listens to the master and does what it says, one order after the other."""

    def __init__(self, master: str) -> None:
        """Joins the master at HOST:PORT."""
        host, _, port = master.rpartition(":")
        self._environment = Environment(events=locust.events, catch_exceptions=False)
        self._runner: Any = self._environment.create_worker_runner(host, int(port))
        self._source: TrafficSource | None = None
        self._heard = time.monotonic()
        self._over: AsyncResult[None] = AsyncResult()
        for name, concurrent in (
            ("open", True),
            ("clock", False),
            ("run", True),
            ("stop", False),
            ("beat", False),
            ("probe", True),
            ("flood", True),
        ):
            self._runner.register_message(
                f"perfhunt_{name}",
                self._guarded(getattr(self, f"_on_{name}")),
                concurrent=concurrent,
            )
        self._send("joined", {"pid": os.getpid()})

    def serve(self) -> None:
        """Works until the master is gone."""
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
            if silent > 10 * ALONE_AFTER:
                self._over.set(None)
            self._send("beat", {})

    _alone = False

    def _guarded(self, act: Any) -> Any:
        """The order's handler, with its failures reported to the master: a worker must not fail in
        silence.
        """

        def handler(environment: Any, msg: Any, **more: Any) -> None:
            self._heard = time.monotonic()
            try:
                act(msg.data)
            except Exception as error:  # the boundary of this process
                self._fail(error)

        return handler

    def handle_error(self, where: Any, kind: Any, value: Any, trace: Any) -> None:
        """From the event loop: a callback raised."""
        if issubclass(kind, Exception):
            self._fail(value)

    def _fail(self, error: Exception) -> None:
        traceback.print_exception(error)
        hint = error.hint if isinstance(error, PerfhuntError) else ""
        self._send("failed", {"failed": str(error) or type(error).__name__, "hint": hint})

    def _send(self, name: str, message: dict[str, Any]) -> None:
        self._runner.send_message(f"perfhunt_{name}", message)

    def _on_beat(self, order: dict[str, Any]) -> None:
        """The master lives; hearing it was all."""

    def _on_clock(self, order: dict[str, Any]) -> None:
        self._send("clock", {**order, "theirs": time.monotonic()})

    def _on_open(self, order: dict[str, Any]) -> None:
        self._source = TrafficSource(order, self._environment)
        self._send("opened", self._source.about())

    def _on_run(self, order: dict[str, Any]) -> None:
        assert self._source is not None
        self._alone = False
        parcel, step = Parcel(), from_plain(Step, order["step"])

        def report(row: dict[str, Any]) -> None:
            self._send("row", {**row, "bytes": parcel.take()})

        done = self._source.run(
            step, order["grace"], parcel, report, order["epoch"], order["part"], order["of"]
        )
        invalid = "a load worker heard nothing from its master, and stopped" if self._alone else ""
        self._send("done", {**done, "invalid": invalid, "bytes": parcel.take()})

    def _on_stop(self, order: dict[str, Any]) -> None:
        if self._source is not None:
            self._source.stop(order["hard"])

    def _on_probe(self, order: dict[str, Any]) -> None:
        assert self._source is not None
        self._send("probed", self._source.probe(order["endpoint"], order["timeout"]))

    def _on_flood(self, order: dict[str, Any]) -> None:
        assert self._source is not None
        self._send("flooded", self._source.flood(order["connections"], order["seconds"]))


def main(master: str) -> int:
    """Serves the master at HOST:PORT until it is gone; 1 when it was never there."""
    try:
        Worker(master).serve()
    except ConnectionError:
        sys.stderr.write(f"no perfhunt master answers at {master}\n")
        return 1
    return 0
