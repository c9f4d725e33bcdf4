"""A locustfile the way Locust runs it: a closed loop of users with their own waiting times.
Labelled as that everywhere.

A user that waits for a slow answer sends nothing meanwhile, so these latencies leave out the
waiting of requests that an open world would have sent (coordinated omission). Offered for
comparison; no knee should rest on it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gevent
import locust
from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.runners import WorkerNode
from locust.user.task import TaskSet

from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.sender import LEAD, TICK, ReportSecond, SendCounts
from perfhunt.load.child.users.failures import outcome_of
from perfhunt.load.messages import SecondReport, StepDone
from perfhunt.model import redact
from perfhunt.model.latency import RequestOutcome
from perfhunt.model.text.error_words import error_words
from perfhunt.model.trial import Step
from perfhunt.model.units import PerSecond, Seconds

STOPS_WITHIN: Seconds = 10.0  # at most, for the requests under way when the step is over
# Names are grouped without values; a locustfile that still has more gives every request its own.
MOST_ROUTES = 2000
OTHERS = "requests under further names"
_BURST: Seconds = 1.0  # of tasks that may begin at once: all users start together


def shared_out(classes: Sequence[type[Any]], users: int, of: int) -> tuple[dict[str, int], ...]:
    """How many users of each class every one of `of` processes has, by the class's name. They are
    handed out one by one, by Locust's own rule, so that together they are what one process has.
    """
    nodes = [WorkerNode(f"{number:06}") for number in range(of)]
    dispatcher = UsersDispatcher(nodes, list(classes))
    dispatcher.new_dispatch(users, users)
    *_, counts = dispatcher
    return tuple(counts[node.id] for node in nodes)


class _Counted:
    """A dispatcher for Locust's runner whose users have been counted already."""

    def __init__(self, node: str, counts: dict[str, int]) -> None:
        self._counts = {node: counts}

    def new_dispatch(self, *asked: object) -> None:
        """The count stands."""

    def __iter__(self) -> Iterator[dict[str, dict[str, int]]]:
        yield self._counts


class _Gate:
    """Lets `most` tasks a second begin, over all steps together; `held` counts those that had to
    wait.
    """

    def __init__(self, most: PerSecond) -> None:
        self.held = 0
        self._most, self._room, self._at = most, most * _BURST, time.monotonic()

    def pass_through(self) -> None:
        """Waits until one more task may begin."""
        now = time.monotonic()
        self._room = min(self._most * _BURST, self._room + (now - self._at) * self._most) - 1
        self._at = now
        if self._room >= 0:
            return
        self.held += 1
        try:
            gevent.sleep(-self._room / self._most)
        except BaseException:  # it ends with its user, and does not begin
            self._room += 1
            raise


class ClosedLoop:
    """Locust's own users under its own local runner; each of their requests becomes a sample,
    counted under its name without a query and values.
    """

    def __init__(
        self,
        classes: Sequence[type[Any]],
        url: str,
        options: Any,
        end_test: Callable[[], None],
        keep_text: bool = False,
        most: PerSecond = math.inf,
    ) -> None:
        """`options` are what a locustfile finds as its environment's `parsed_options`; `end_test`
        is called where it ends the test; `most` is how many tasks a second may begin.
        """
        self._keep_text, self._classes = keep_text, tuple(classes)
        self._gate = _Gate(most)
        if math.isfinite(most):
            _hold_at(self._gate)
        self._environment = Environment(
            user_classes=list(classes), events=locust.events, host=url, parsed_options=options
        )
        runner: Any = self._environment.create_local_runner()
        self._runner, self._stop_users = runner, runner.stop
        runner.quit = runner.stop = end_test
        # Names of requests, in the order they were first seen, with their numbers.
        self.routes: dict[str, int] = {}
        self._recorder: Recorder | None = None
        self._epoch: Seconds = 0.0
        self._stop_at: Seconds = math.inf
        self._hard = False
        self._counts = SendCounts()
        events: Any = locust.events
        events.request.add_listener(self._on_request)

    def stop(self, hard: bool) -> None:
        """The users stop at the next tick, `hard` in the middle of what they do."""
        self._stop_at = min(self._stop_at, time.monotonic())
        self._hard = self._hard or hard

    @property
    def held(self) -> int:
        """Tasks of the last step that `most` did not let begin when they wanted to."""
        return self._gate.held

    def run(
        self,
        step: Step,
        grace: Seconds,
        recorder: Recorder,
        report: ReportSecond,
        epoch: Seconds = 0.0,
        part: int = 0,
        of: int = 1,
    ) -> StepDone:
        """Keeps `step.rate` users busy for the step's duration (in a closed loop, "rate" is a
        number of users), or the share of them that process `part` of `of` has, from `epoch` (0: at
        once).
        """
        self._recorder, self._counts = recorder, SendCounts()
        self._stop_at, self._hard, self._gate.held = math.inf, False, 0
        mine = shared_out(self._classes, max(1, round(step.rate)), of)[part]
        epoch = self._epoch = epoch or time.monotonic() + LEAD
        gevent.sleep(max(0.0, epoch - LEAD - time.monotonic()))
        if self._stop_at == math.inf:
            self._start(mine)
        second, cpu = 0, time.process_time()
        while time.monotonic() < min(self._stop_at, epoch + step.duration):
            gevent.sleep(TICK)
            now = time.monotonic()
            if now >= epoch + second + 1:
                recorder.flush()
                used, cpu = time.process_time() - cpu, time.process_time()
                second = int(now - epoch)
                report(
                    SecondReport(second=second - 1, at=now - epoch, cpu=used, sent=recorder.added)
                )
        ended = max(0.0, min(step.duration, time.monotonic() - epoch))
        self._environment.stop_timeout = 0.0 if self._hard else min(grace, STOPS_WITHIN)
        self._stop_users()
        recorder.flush()
        self._recorder = None
        return StepDone(
            epoch=epoch,
            seconds=ended,
            errors=self._counts.errors,
            routes=tuple(self.routes),
            users=sum(mine.values()),
        )

    def _start(self, users: dict[str, int]) -> None:
        """Locust's runner spawns the users, all at once."""
        count = sum(users.values())
        self._runner._users_dispatcher = _Counted(self._runner._local_worker_node.id, users)
        self._runner.start(count, spawn_rate=max(1, count), wait=False)

    def _on_request(
        self,
        request_type: str = "",
        name: str = "",
        response_time: float = 0.0,
        response_length: int = 0,
        response: Any = None,
        exception: Any = None,
        **more: Any,
    ) -> None:
        if self._recorder is None:
            return
        service = (response_time or 0.0) / 1e3
        status = int(getattr(response, "status_code", 0) or 0)
        outcome = RequestOutcome.OK
        if exception is not None:
            outcome = RequestOutcome.STATUS if status else outcome_of(exception)
            self._counts.note(error_words(exception, self._keep_text))
        sent = max(0.0, time.monotonic() - service - self._epoch)
        self._recorder.add(
            sent,
            0.0,
            service,
            int(response_length or 0),
            status,
            self._route(redact.route(f"{request_type} {name}")),
            outcome,
            0.0,
        )

    def _route(self, name: str) -> int:
        if name not in self.routes and len(self.routes) >= MOST_ROUTES:
            name = OTHERS
        return self.routes.setdefault(name, len(self.routes))


def _hold_at(gate: _Gate) -> None:
    """From now on every task of every user in this process passes the gate."""
    tasks: Any = TaskSet
    begin = tasks.execute_next_task

    def execute_next_task(taskset: Any) -> None:
        gate.pass_through()
        begin(taskset)

    tasks.execute_next_task = execute_next_task
