"""What the load child does between its first and its last message: orders in, Locust's runner at
work, answers out.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Callable
from typing import Any, Protocol

import gevent
import locust
import msgspec
from gevent.event import AsyncResult
from gevent.queue import Queue
from locust import User, task
from locust.env import Environment

from perfhunt.errors import LoadFailed
from perfhunt.load.child.bounds.sentinel import Sentinel, leave
from perfhunt.load.child.http.login import log_in
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.sender import ReportSecond
from perfhunt.load.child.source import TrafficSource
from perfhunt.load.messages import (
    LOGIN_WITHIN,
    ORDERS,
    ChildAnswer,
    ChildOrder,
    EndLoad,
    Flooded,
    FloodTarget,
    LoadError,
    LoadReady,
    OpenFleet,
    OpenLoad,
    PipeReader,
    ProbeAnswered,
    RunStep,
    SendProbe,
    StepDone,
    StopLoad,
    frame,
)
from perfhunt.load.programs.facts import PROGRAM_TAKES
from perfhunt.model.question import EngineName
from perfhunt.model.testfile.feed import FeedRow
from perfhunt.model.text.error_words import error_words
from perfhunt.model.trial import STOPPED, Step
from perfhunt.model.units import Seconds

_READABLE = 1  # libev's EV_READ
_READ_SIZE = 1 << 16  # bytes: all that a pipe holds


_ENDED_BY_FILE = (
    "the locustfile ended Locust's runner (environment.runner.quit or stop), which sends the load"
)
# Beyond what its own orders last: longer than the controller gives the child before it ends it.
OVERTIME: Seconds = 15.0


def main(sentinel: Sentinel) -> int:
    """Serves the controller until it hangs up. The exit code is 0 then, 1 after a failure that was
    reported.
    """
    pipe = ControllerPipe(sentinel)
    try:
        pipe.serve()
    except Exception as error:  # the boundary: whatever it is, the controller must hear of it
        pipe.failed(error)
        return 1
    return 0


class ControllerPipe:
    """Reads the controller's messages in the event loop, so that "stop" and end-of-file act in the
    middle of a run.
    """

    def __init__(self, sentinel: Sentinel) -> None:
        """Takes standard input and output for the messages; what else is printed goes to standard
        error, where it cannot be taken for one.
        """
        self._sentinel = sentinel
        self._to, self._log = os.dup(1), os.dup(2)
        os.dup2(2, 1)
        self._keep_text = False
        self._reader: PipeReader[ChildOrder] = PipeReader(ORDERS)
        self._orders: Queue[ChildOrder] = Queue()
        self._crash: AsyncResult[None] = AsyncResult()
        self._session: Session | None = None

    def send(self, answer: ChildAnswer) -> None:
        """Gives the controller an answer."""
        content = frame(answer)
        with contextlib.suppress(BrokenPipeError):
            while content:
                content = content[os.write(self._to, content) :]

    def failed(self, error: Exception) -> None:
        """Tells the controller what this process dies of, and leaves word in the log."""
        words = error_words(error, self._keep_text)
        os.write(self._log, f"{words}\n".encode(errors="backslashreplace"))
        if self._keep_text:
            traceback.print_exception(error)
        self.send(LoadError.of(error, self._keep_text))

    def _quieten(self) -> None:
        """From here on the log holds no word of a locustfile, whose prints, logs and tracebacks may
        hold secrets.
        """
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in (1, 2):
            os.dup2(nowhere, descriptor)
        os.close(nowhere)

    def serve(self) -> None:
        """Carries out orders until stdin ends."""
        os.set_blocking(0, False)
        # A callback of the loop that raises would otherwise be printed and forgotten. The hub puts
        # itself in that place when it starts, so it must have started.
        gevent.sleep(0)
        gevent.get_hub().loop.error_handler = self
        watcher: Any = gevent.get_hub().loop.io(0, _READABLE)
        watcher.start(self._on_readable)
        gevent.spawn(self._serve_session).link_exception(self._on_death)
        self._crash.get()

    def _serve_session(self) -> None:
        first = self._orders.get()
        if not isinstance(first, OpenLoad | OpenFleet):
            raise LoadFailed(f"{type(first).__name__} came before the load was opened")
        load = _load_of(first)
        self._keep_text = load.question.keep_error_text
        if not self._keep_text:
            self._quieten()
        hurry: Any = gevent.get_hub().loop.async_()  # the one thing another thread may touch
        hurry.start(self._stop, True)
        # Before a locustfile is read, which may send something as it is.
        self._sentinel.open(
            hurry.send,
            load.question.safety.max_duration,
            load.killswitch,
            unruly=load is first and load.question.locustfile is not None,
        )
        self._session = Session(first, self, self._sentinel)
        self._session.serve(self._orders)

    def handle_error(self, where: Any, kind: Any, value: Any, trace: Any) -> None:
        """From the event loop: a callback or a greenlet raised."""
        if issubclass(kind, Exception):
            self._crash.set_exception(value)

    def _on_death(self, greenlet: Any) -> None:
        self._crash.set_exception(greenlet.exception)

    def _on_readable(self) -> None:
        try:
            content = os.read(0, _READ_SIZE)
        except BlockingIOError:
            return
        if not content:
            leave(0)
        for order in self._reader.feed(content):
            if isinstance(order, StopLoad):
                self._stop(order.hard)
            elif isinstance(order, EndLoad):
                gevent.spawn(self._leave)
            else:
                self._orders.put(order)

    def _leave(self) -> None:
        if self._session is not None:
            self._session.end()
        leave(0)

    def _stop(self, hard: bool) -> None:
        if self._session is not None:
            self._session.stop(hard)
        else:  # There is no load yet, and none is to begin: it ends this process as an order.
            self._orders.put(StopLoad(hard=hard))


class LoadGenerator(Protocol):
    """What sends: this process alone, or workers it commands."""

    def ready(self) -> LoadReady:
        """What the controller must know of it."""

    def run(self, step: Step, grace: Seconds, recorder: Recorder, report: ReportSecond) -> StepDone:
        """Sends a step's arrivals; blocks until they are over."""

    def probe(self, endpoint: int, timeout: Seconds) -> ProbeAnswered:
        """Sends a single request."""

    def flood(self, connections: int, seconds: Seconds) -> Flooded:
        """Sends all it can, in a closed loop."""

    def stop(self, hard: bool) -> None:
        """Takes the load off."""


class Session:
    """One question's load, from the order to open it until the controller hangs up."""

    def __init__(
        self, order: OpenLoad | OpenFleet, pipe: ControllerPipe, sentinel: Sentinel
    ) -> None:
        self._pipe, self._sentinel = pipe, sentinel
        self._cut_off = self._busy = False
        self._farewell: Callable[[], None] = lambda: None
        question = _load_of(order).question
        self._timeout = question.ramp.timeout
        own = question.engine is EngineName.LOCUST
        self._overtime = OVERTIME if own else OVERTIME + PROGRAM_TAKES
        self._sessions: tuple[FeedRow, ...] = ()
        if question.login is not None:
            with sentinel.under_way(LOGIN_WITHIN + OVERTIME):
                self._sessions = log_in(_load_of(order), os.environ)
        self._generator: LoadGenerator = (
            self._alone(order) if isinstance(order, OpenLoad) else self._fleet(order)
        )
        pipe.send(self._generator.ready())

    def _alone(self, order: OpenLoad) -> LoadGenerator:
        # Locust's global events, where the listeners of a locustfile are.
        self._environment = Environment(events=locust.events, catch_exceptions=False)
        self._runner: Any = self._environment.create_local_runner()
        source = TrafficSource(order, self._environment, os.environ, self._sessions)
        if order.question.engine is not EngineName.LOCUST:
            from perfhunt.load.child.programs.source import ProgramSource

            return ProgramSource(order, source)
        events: Any = self._environment.events
        events.init.fire(environment=self._environment, runner=self._runner, web_ui=None)
        self._farewell = source.end
        return source

    def _fleet(self, order: OpenFleet) -> LoadGenerator:
        from perfhunt.load.child.fleet.master import Fleet

        fleet = Fleet(order, self._sessions)
        self._farewell = fleet.end
        return fleet

    def serve(self, orders: Queue[ChildOrder]) -> None:
        """Carries out the orders. Does not return."""
        if isinstance(self._generator, TrafficSource):
            self._serve_as_user(orders)
        while True:
            self.carry_out(orders.get())

    def _serve_as_user(self, orders: Queue[ChildOrder]) -> None:
        """Starts Locust's runner with one user, which carries out the orders. Raises what that user
        died of.
        """
        died: AsyncResult[None] = AsyncResult()
        session = self

        class Arrivals(User):
            """Stands for all traffic: its task sends whole schedules through the fast client."""

            fixed_count = 1

            @task
            def carry_out(self) -> None:
                try:
                    session.carry_out(orders.get())
                except gevent.GreenletExit:
                    died.set_exception(LoadFailed(_ENDED_BY_FILE))
                    raise
                except Exception as error:  # Locust would log it and go on
                    died.set_exception(error)
                    orders.get()

        self._environment.user_classes = [Arrivals]
        # The tags among the options are for the locustfile's own classes, which have been filtered.
        self._environment._tasks_filtered = True
        self._runner.start(1, spawn_rate=1)
        died.get()

    def stop(self, hard: bool) -> None:
        """Takes the load off."""
        self._cut_off = self._cut_off or hard
        self._generator.stop(hard)

    def end(self) -> None:
        """Tells a locustfile that the test is over, unless it was cut off or is in the middle of
        something: then nothing more is to be sent.
        """
        if not self._cut_off and not self._busy:
            self._farewell()

    def carry_out(self, order: ChildOrder) -> None:
        """One order, start to end, watched over. Raises LoadFailed for one that has no place
        here.
        """
        self._busy = True
        try:
            self._carry_out(order)
        finally:
            self._busy = False

    def _carry_out(self, order: ChildOrder) -> None:
        match order:
            case RunStep():
                # Users may log in before a step, each for as long as a request may take.
                lasts = self._timeout + order.step.duration + order.grace
                with self._sentinel.under_way(lasts + self._overtime):
                    self._pipe.send(self._run(order))
            case SendProbe():
                with self._sentinel.under_way(order.timeout + self._overtime):
                    self._pipe.send(self._generator.probe(order.endpoint, order.timeout))
            case FloodTarget():
                with self._sentinel.under_way(2 * order.seconds + OVERTIME):
                    self._pipe.send(self._generator.flood(order.connections, order.seconds))
            case _:
                raise LoadFailed(f"{type(order).__name__} came where it has no place")

    def _run(self, order: RunStep) -> StepDone:
        recorder = Recorder(order.samples)
        try:
            done = self._generator.run(order.step, order.grace, recorder, self._pipe.send)
        finally:
            recorder.close()
        ended = self._generator.ended if isinstance(self._generator, TrafficSource) else ""
        if self._sentinel.starved and not ended:
            return msgspec.structs.replace(done, starved=True, invalid=self._sentinel.why)
        if why := self._sentinel.why or ended:
            return msgspec.structs.replace(done, invalid=f"{STOPPED}{why}")
        if not done.invalid and (paused := self._sentinel.paused(done.epoch)):
            return msgspec.structs.replace(done, invalid=f"the load child {paused}")
        return done


def _load_of(order: OpenLoad | OpenFleet) -> OpenLoad:
    return order if isinstance(order, OpenLoad) else order.load
