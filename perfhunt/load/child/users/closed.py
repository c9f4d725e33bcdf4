"""A locustfile the way Locust runs it: a closed loop of users with their own waiting times.
Labelled as that everywhere.

A user that waits for a slow answer sends nothing meanwhile, so these latencies leave out the
waiting of requests that an open world would have sent (coordinated omission). Offered for
comparison; no knee should rest on it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import gevent
import locust
from locust.env import Environment

from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.sender import LEAD, TICK, ReportSecond, SendCounts
from perfhunt.load.child.users.failures import outcome_of
from perfhunt.load.messages import SecondReport, StepDone
from perfhunt.model import redact
from perfhunt.model.latency import RequestOutcome
from perfhunt.model.text.error_words import error_words
from perfhunt.model.trial import Step
from perfhunt.model.units import Seconds

STOPS_WITHIN: Seconds = 10.0  # at most, for the requests under way when the step is over


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
    ) -> None:
        """`options` are what a locustfile finds as its environment's `parsed_options`; `end_test`
        is called where it ends the test.
        """
        self._keep_text = keep_text
        self._environment = Environment(
            user_classes=list(classes), events=locust.events, host=url, parsed_options=options
        )
        runner: Any = self._environment.create_local_runner()
        self._runner, self._stop_users = runner, runner.stop
        runner.quit = runner.stop = end_test
        self.routes: list[str] = []  # names of requests, in the order they were first seen
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

    def run(self, step: Step, grace: Seconds, recorder: Recorder, report: ReportSecond) -> StepDone:
        """Keeps `step.rate` users busy for the step's duration (in a closed loop, "rate" is a
        number of users).
        """
        self._recorder, self._counts = recorder, SendCounts()
        self._stop_at, self._hard = math.inf, False
        users = max(1, round(step.rate))
        epoch = self._epoch = time.monotonic() + LEAD
        self._runner.start(users, spawn_rate=max(1, users), wait=False)
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
        ended = min(step.duration, time.monotonic() - epoch)
        self._environment.stop_timeout = 0.0 if self._hard else min(grace, STOPS_WITHIN)
        self._stop_users()
        recorder.flush()
        self._recorder = None
        return StepDone(
            epoch=epoch,
            seconds=ended,
            errors=self._counts.errors,
            routes=tuple(self.routes),
            users=users,
        )

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
        if name not in self.routes:
            self.routes.append(name)
        return self.routes.index(name)
