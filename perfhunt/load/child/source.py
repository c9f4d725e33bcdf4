"""One question's traffic, opened: what sends it, when, and in which mix. The same in a lone child
and in a worker.
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import gevent
import msgspec
import numpy as np
from locust.env import Environment

from perfhunt.load.child.bounds.outbound import Outbound
from perfhunt.load.child.bounds.parent import raise_descriptor_limit
from perfhunt.load.child.bounds.proxies import unset_proxies
from perfhunt.load.child.host import pin_apart, ports_in_use
from perfhunt.load.child.http.address import resolve
from perfhunt.load.child.http.client import Client
from perfhunt.load.child.http.cookies import cookie_url
from perfhunt.load.child.http.journey import JourneyClient
from perfhunt.load.child.pacer import Pacer, Schedule
from perfhunt.load.child.recorder import Recorder, SampleBuffer
from perfhunt.load.child.sender import ArrivalSender, ReportSecond, SendLimits
from perfhunt.load.child.users.closed import ClosedLoop
from perfhunt.load.child.users.locustfile import import_locustfile, remarks_on, tasks_of
from perfhunt.load.child.users.options import parsed_options
from perfhunt.load.child.users.tasks import USERS, UserTasks
from perfhunt.load.messages import (
    FAREWELL,
    Flooded,
    LoadReady,
    OpenLoad,
    ProbeAnswered,
    SecondReport,
    StepDone,
)
from perfhunt.load.render import Payloads, prepare
from perfhunt.model.latency import SAMPLE, UNCAUSED, RequestOutcome
from perfhunt.model.question import LoopKind
from perfhunt.model.testfile.feed import FeedRow
from perfhunt.model.text.socket_url import authority
from perfhunt.model.trial import Step, arrivals, feed_rows, mix
from perfhunt.model.units import PerSecond, Seconds

# How many requests may be in flight, in multiples of rate x limit. Overload is called at 1.5
# (analysis.trial.overload) and needs two seconds: at four times that no arrival waits here before.
BOUND = 6.0
BOUND_LEAST = 512  # at low rates a pause of the service brings a bunch, which is no reason to wait
DESCRIPTORS_KEPT = 200  # of the limit: the interpreter's own, logs, feeds and the users' files
# Why a run is over whose locustfile calls `environment.runner.quit()`.
ENDED = "the locustfile ended the test"
PROBE_DURATION: Seconds = 0.001  # of a "step" that has one arrival, at its very start


class TrafficSource:
    """Everything that is needed to send the traffic of one question, in this process."""

    def __init__(
        self,
        order: OpenLoad,
        environment: Environment,
        variables: Mapping[str, str],
        sessions: Sequence[FeedRow] = (),
        most: PerSecond = math.inf,
    ) -> None:
        """`variables` are what `${NAME}` stands for, `sessions` what the logins gave; users of a
        closed loop begin `most` tasks a second. Raises LoadFailed.
        """
        question = order.question
        self._question, self._environment = question, environment
        environment.host = question.target.url
        self._descriptors = raise_descriptor_limit()
        self._pinning = (
            pin_apart(question.target.url)
            if order.pin
            else "not pinned: several load processes share the cores"
        )
        self.address = resolve(question.target, order.addresses)
        # Before a line of the user's own code runs.
        self._outbound = Outbound(
            urlsplit(question.target.url).hostname or "",
            self.address.port,
            self.address.cleared,
            (*order.connects, *self.address.unix),
        )
        self._outbound.install()
        self._running = False
        self.ended = ""  # why there is no more load, when the locustfile says so
        self._limits = SendLimits(
            timeout=question.ramp.timeout,
            deadline=order.deadline,
            in_flight=min(order.in_flight, self._descriptors - DESCRIPTORS_KEPT),
        )
        self._latency_limit = order.limit
        self.payloads: Sequence[Payloads] = ()
        self._sender: ArrivalSender
        self._closed: ClosedLoop | None = None
        self._users: UserTasks | None = None
        self._journeys: JourneyClient | None = None
        self._remarks: tuple[str, ...] = ()
        if question.locustfile is not None:
            self._open_locustfile(question.locustfile, order.run, variables, most)
        else:
            self._open_endpoints(order.run, variables, sessions)
        self._pacer = Pacer(self._sender)

    def _open_endpoints(
        self, run: str, variables: Mapping[str, str], sessions: Sequence[FeedRow]
    ) -> None:
        host = authority(self._question.target.url)
        question, loop = self._question, gevent.get_hub().loop
        endpoints = [prepare(e, host, run, variables, sessions) for e in question.traffic]
        self.payloads = endpoints
        self._feeds = [e.rows for e in endpoints]
        self._routes = tuple(step.name for step in question.steps)
        weights = [e.endpoint.weight for e in endpoints]
        self._weights = (*weights, *[0.0] * (len(self._routes) - len(weights)))
        if len(self._routes) > len(weights):
            self._journeys = JourneyClient(
                loop, self.address, endpoints, self._limits, cookie_url(question.target.url)
            )
            self._remarks = (question.rates_said,)
        self._sender = self._journeys or Client(loop, self.address, endpoints, self._limits)
        self._warm: Callable[[Step], None] = _nothing

    def _open_locustfile(
        self, path: str, run: str, variables: Mapping[str, str], most: PerSecond
    ) -> None:
        question, url = self._question, self._question.target.url
        keep_text = question.keep_error_text
        unused = unset_proxies(os.environ)  # which requests, httpx and urllib would send load to
        # Locust's own would end the one user that carries out orders.
        runner: Any = self._environment.runner
        runner.quit = runner.stop = self._end_test
        classes, shapes = import_locustfile(path, keep_text)
        options = parsed_options(question.locust_options, variables, url)
        self._environment.parsed_options = options
        tasks = tasks_of(classes, question.locust_classes, options, url)
        self._feeds = [1] * len(tasks)
        self._routes = (*(task.name for task in tasks), UNCAUSED)
        self._weights = (*(task.weight for task in tasks), 0.0)
        self._limits = replace(self._limits, in_flight=min(USERS, self._limits.in_flight))
        users = UserTasks(
            tasks,
            self._environment,
            self._limits,
            url,
            run,
            refuse=self._outbound.refuse,
            keep_text=keep_text,
        )
        self._sender = self._users = users
        self._warm = lambda step: users.warm(step.rate, step.seed)
        users_of = [*dict.fromkeys(task.user for task in tasks)]
        closed = question.ramp.loop is LoopKind.CLOSED
        remarks = remarks_on(users_of, shapes, closed=closed)
        self._remarks = tuple(filter(None, (*remarks, unused)))
        if closed:
            self._closed = ClosedLoop(users_of, url, options, self._end_test, keep_text, most)

    def _end_test(self) -> None:
        self.ended = ENDED
        self.stop(hard=False)

    def ready(self) -> LoadReady:
        """What the controller must know of it."""
        return LoadReady(
            host=socket.gethostname(),
            pid=os.getpid(),
            routes=self._routes,
            weights=self._weights,
            pinning=self._pinning,
            remarks=self._remarks,
        )

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
        """Sends the step's arrivals, or every `of`-th of them from `part` on, from `epoch` (0: at
        once). Of a closed loop: lets that share of its users loose. None once the test was `ended`.
        """
        if self.ended:
            return StepDone(seconds=0.0, epoch=time.monotonic())
        with self._under_way():
            if self._closed is not None:
                done = self._closed.run(step, grace, recorder, report, epoch, part, of)
            else:
                if not epoch:
                    self._warm(step)
                elif isinstance(self._sender, UserTasks):  # among workers there is no time for more
                    self._sender.take_turns(step.rate / of)
                done = self._pace(step, grace, recorder, report, epoch, part, of)
        return msgspec.structs.replace(done, refused=self._outbound.take_refused())

    @property
    def met(self) -> tuple[str, ...]:
        """Names of a closed loop's requests so far, as its samples number them."""
        return tuple(self._closed.routes) if self._closed is not None else ()

    @property
    def held(self) -> int:
        """Tasks of a closed loop that had to wait in the last step, since there may be no more."""
        return self._closed.held if self._closed is not None else 0

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        """A stop within ends what is sent there; one outside, what is left of it."""
        self._pacer.begin()
        self._running = True
        try:
            yield
        finally:
            self._running = False

    def _pace(
        self,
        step: Step,
        grace: Seconds,
        recorder: Recorder,
        report: ReportSecond,
        epoch: Seconds,
        part: int,
        of: int,
    ) -> StepDone:
        whole = self._schedule(step)
        mine = Schedule(
            whole.due[part::of], whole.endpoint[part::of], whole.row[part::of], step.settle
        )
        self._sender.limits = replace(self._limits, in_flight=self.bound(step.rate / of))
        if self._journeys is not None:
            self._journeys.lasts = step.duration
        done = self._pacer.run(mine, step.duration, grace, recorder, report, epoch)
        return msgspec.structs.replace(
            done,
            fds_share=self._sender.counts.most_open / self._descriptors,
            ports_share=ports_in_use(),
        )

    def bound(self, rate: PerSecond) -> int:
        """How many requests may be in flight: several times what counts as overload, so that none
        waits before that.

        Past it the answer is known, and more would only bury the service: arrivals wait here, and
        are shed at the deadline.
        """
        if math.isinf(self._latency_limit):
            return self._limits.in_flight
        bound = math.ceil(BOUND * rate * self._latency_limit)
        return min(self._limits.in_flight, max(BOUND_LEAST, bound))

    def stop(self, hard: bool) -> None:
        """Takes the load off, and with `hard` what is left of it."""
        if not self._running:
            if hard:
                self._sender.cut(time.monotonic(), hard=True)
            return
        self._pacer.stop(hard)
        if self._journeys is not None:
            self._journeys.end_journeys()
        if self._closed is not None:
            self._closed.stop(hard)

    def end(self) -> None:
        """Tells a locustfile that the test is over: its users, as Locust does, and then its
        listeners. Each of the two may take FAREWELL.
        """
        if not isinstance(self._sender, UserTasks):
            return
        self._sender.farewell(FAREWELL)
        events: Any = self._environment.events
        with gevent.Timeout(FAREWELL, False):
            events.test_stop.fire(environment=self._environment)
            events.quitting.fire(environment=self._environment, reverse=True)

    def flood(self, connections: int, seconds: Seconds) -> Flooded:
        """See Pacer.flood."""
        with self._under_way():
            return self._pacer.flood(connections, seconds)

    def _schedule(self, step: Step) -> Schedule:
        rate = step.rate / self._question.requests_per_arrival
        due = arrivals(step.seed, rate, step.duration, step.arrivals)
        endpoint = mix(step.seed, len(due), self._weights)
        row = np.zeros(len(due), dtype=np.uint32)
        for index, rows in enumerate(self._feeds):
            if rows > 1:
                chosen = endpoint == index
                row[chosen] = feed_rows(step.seed, len(due), rows)[chosen]
        return Schedule(due, endpoint, row)

    def probe(self, endpoint: int, timeout: Seconds, again: bool = True) -> ProbeAnswered:
        """One request on its own, `again` once it was answered: how it ended, how long it took, and
        how many of earlier trials are still unanswered. The first in a while pays for what ran out
        meanwhile (a cache, a connection), which is no sign of an overload. A worker that may send
        so many a second sends one alone.
        """
        single = Schedule(
            due=np.zeros(1),
            endpoint=np.array([endpoint], dtype=np.uint16),
            row=np.zeros(1, dtype=np.uint32),
        )
        recorder = SampleBuffer()
        with self._under_way():
            self._pacer.run(single, PROBE_DURATION, timeout, recorder, unreported)
            ended = np.frombuffer(recorder.take(), SAMPLE)
            # One that was not answered took all the time that there is for an answer.
            answered = np.isin(ended["outcome"], (RequestOutcome.OK, RequestOutcome.STATUS)).any()
            if again and answered and not self._sender.orphans:
                at_once = time.monotonic()
                self._pacer.run(single, PROBE_DURATION, timeout, recorder, unreported, at_once)
                ended = np.frombuffer(recorder.take(), SAMPLE)
        return ProbeAnswered(
            outcome=int(ended["outcome"][-1]) if len(ended) else RequestOutcome.CUT,
            service=float(ended["service"][-1]) if len(ended) else 0.0,
            orphans=len(self._sender.orphans),
            idle=self._users.idle if self._users is not None else 0,
        )


def unreported(report: SecondReport) -> None:
    """Nobody watches a probe."""


def _nothing(step: Step) -> None:
    """Endpoints need no users prepared."""
