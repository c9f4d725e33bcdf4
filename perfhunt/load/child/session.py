"""What the load child does between its first and its last message: orders in, Locust's runner at
work, answers out.
"""

from __future__ import annotations

import contextlib
import json
import os
import traceback
from typing import Any, Protocol

import gevent
import locust
from gevent.event import AsyncResult
from gevent.queue import Queue
from locust import User, task
from locust.env import Environment

from perfhunt.errors import LoadFailed, PerfhuntError
from perfhunt.load.child.pacer import Report
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.source import TrafficSource
from perfhunt.model.document.plain import from_plain
from perfhunt.model.trial import Step
from perfhunt.model.units import Seconds

_READ = 1


def main() -> int:
    """Serves the controller until it hangs up. The exit code is 0 then, 1 after a failure that was
    reported.
    """
    try:
        ControllerPipe().serve()
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


class ControllerPipe:
    """Reads the controller's lines in the event loop, so that "stop" and end-of-file act in the
    middle of a run.
    """

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


class Crew(Protocol):
    """Who sends: this process alone, or workers it commands."""

    def about(self) -> dict[str, Any]: ...

    def run(
        self, step: Step, grace: Seconds, recorder: Recorder, report: Report
    ) -> dict[str, Any]: ...

    def probe(self, endpoint: int, timeout: Seconds) -> dict[str, Any]: ...

    def flood(self, connections: int, seconds: Seconds) -> dict[str, Any]: ...

    def stop(self, hard: bool) -> None: ...


class Session:
    """One question's load, from the order to open it until the controller hangs up."""

    def __init__(self, order: dict[str, Any]) -> None:
        # Locust's global events, where the listeners of a locustfile are.
        self._environment = Environment(events=locust.events, catch_exceptions=False)
        self._crew: Crew = self._alone(order) if not order["workers"] else self._fleet(order)
        _send({"ready": self._crew.about()})

    def _alone(self, order: dict[str, Any]) -> Crew:
        self._runner: Any = self._environment.create_local_runner()
        source = TrafficSource(order, self._environment)
        events: Any = self._environment.events
        events.init.fire(environment=self._environment, runner=self._runner, web_ui=None)
        return source

    def _fleet(self, order: dict[str, Any]) -> Crew:
        from perfhunt.load.child.fleet import Fleet

        return Fleet(order, self._environment)

    def serve(self, orders: Queue[dict[str, Any]]) -> None:
        """Carries out the orders. Does not return."""
        if isinstance(self._crew, TrafficSource):
            self._serve_as_user(orders)
        while True:
            self.carry_out(orders.get())

    def _serve_as_user(self, orders: Queue[dict[str, Any]]) -> None:
        """Starts Locust's runner with one user, which carries out the orders. Raises what that user
        died of.
        """
        died: AsyncResult[None] = AsyncResult()
        session = self

        class Arrivals(User):
            """Stands for all traffic: its one task sends whole schedules through the fast
            client.
            """

            fixed_count = 1

            @task
            def carry_out(self) -> None:
                try:
                    session.carry_out(orders.get())
                except Exception as error:  # Locust would log it and go on
                    died.set_exception(error)
                    orders.get()

        self._environment.user_classes = [Arrivals]
        self._runner.start(1, spawn_rate=1)
        died.get()

    def stop(self, hard: bool) -> None:
        """Takes the load off."""
        self._crew.stop(hard)

    def carry_out(self, order: dict[str, Any]) -> None:
        """One order, start to end."""
        if order["do"] == "run":
            _send(
                {
                    "done": self._run(
                        from_plain(Step, order["step"]), order["samples"], order["grace"]
                    )
                }
            )
        elif order["do"] == "probe":
            _send({"probed": self._crew.probe(order["endpoint"], order["timeout"])})
        elif order["do"] == "flood":
            _send({"flooded": self._crew.flood(order["connections"], order["seconds"])})
        else:
            raise LoadFailed(f"unknown order {order['do']!r}")

    def _run(self, step: Step, samples: str, grace: Seconds) -> dict[str, Any]:
        recorder = Recorder(samples)
        try:
            return self._crew.run(step, grace, recorder, lambda row: _send({"row": row}))
        finally:
            recorder.close()
