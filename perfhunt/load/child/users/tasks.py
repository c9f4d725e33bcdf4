"""Arrivals that are tasks of a locustfile: each runs one task of a pooled user, and counts from
when it was due. How it went is what Locust's own `request` event says of everything that it caused,
in greenlets of its own too; a request that no arrival under way is the cause of counts by itself.

Only the users' `wait_time` is not used: the arrivals decide when.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, NoReturn
from urllib.parse import urlsplit

import gevent
from gevent.pool import Pool
from locust import FastHttpUser, HttpUser
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment
from locust.exception import StopTest, StopUser

from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.sender import ERROR_TEXTS, SendCounts, SendLimits, no_pace
from perfhunt.load.child.users.failures import outcome_of
from perfhunt.load.child.users.locustfile import PooledUser, UserPool, UserTask
from perfhunt.model import redact
from perfhunt.model.latency import RequestOutcome, TaskTime
from perfhunt.model.text.error_words import error_words
from perfhunt.model.units import PerSecond, Seconds
from perfhunt.version import __version__

USERS = 1000  # at once; each has a client, and cookies, of its own
READY_WITHIN: Seconds = 0.1  # users are prepared beforehand for tasks that take this long
# Where greenlets keep the arrival that they were spawned for; those they spawn inherit it.
_CAUSE = "perfhunt arrival"
STOPPING = 10  # at once, at the end: what they ask for then is no load
_MILLISECONDS = 1e3  # in a second
_CUT_OFF = (RequestOutcome.CUT, RequestOutcome.TIMEOUT)  # tasks that did not end by themselves
READY_MOST = 50  # of one class: each may log in, and that is load before the load


@dataclass(eq=False, slots=True)
class RunningTask:
    """One task on its way. `sent` is when its task began: preparing a user for it comes before,
    and is its `wait`.
    """

    due: Seconds
    endpoint: int
    begun: Seconds
    sent: Seconds = 0.0
    wait: Seconds = 0.0
    size: int = 0
    status: int = 0
    outcome: int = RequestOutcome.OK
    caused: bool = False  # a request, or more
    requests: int = 0  # of Locust's clients, that ended
    asked: Seconds = 0.0  # what they took
    asking: Seconds | None = None  # since when it is in one
    greenlet: Any = None
    ended: bool = False

    def passed(self, name: str, now: Seconds) -> TaskTime:
        """What it took until now."""
        seconds = max(0.0, now - self.sent)
        asked = self.asked + (0.0 if self.asking is None else now - self.asking)
        return TaskTime(
            name=name,
            n=1,
            seconds=seconds,
            requests=self.requests,
            # Those of several greenlets pass at once.
            asked=min(seconds, asked),
        )


class UserTasks:
    """Does for the pacer what the fast client does, by running a locustfile's tasks."""

    def __init__(
        self,
        tasks: Sequence[UserTask],
        environment: Environment,
        limits: SendLimits,
        url: str,
        run: str,
        refuse: Callable[[str], NoReturn],
        keep_text: bool = False,
    ) -> None:
        """`refuse` is called with where a request would have gone that is not for the target."""
        self._refuse = refuse
        self._words = partial(error_words, keep_text=keep_text)
        self.tasks, self.limits = tuple(tasks), limits
        self._environment, self._url, self._run = environment, url, run
        self._pool = UserPool()
        self.recorder, self.counts, self.epoch = Recorder(""), SendCounts(), 0.0
        self.next_due: Seconds = math.inf
        self.pace: Callable[[], None] = no_pace
        self.spare = True  # a new user is a greenlet, and opens nothing by itself
        self.refill: Callable[[], None] | None = None
        self.in_flight: dict[RunningTask, None] = {}
        self.orphans: dict[RunningTask, None] = {}
        self.waiting: deque[tuple[Seconds, int, Seconds]] = deque()
        events: Any = environment.events
        self._events = events
        # Whether a trial is on, and what went wrong while users were made ready for the next.
        self._begun = False
        self._before: deque[str] = deque(maxlen=ERROR_TEXTS)
        events.request.add_listener(self._on_request)

    def warm(self, rate: PerSecond, seed: int) -> None:
        """Prepares users before the load starts, `on_start` included, and seeds the chance in their
        tasks.
        """
        random.seed(seed)
        self._before.clear()
        self.take_turns(rate)
        missing = [
            cls
            for cls, users in self._pool.turns.items()
            for _ in range(users - len(self._pool.free.get(cls, ())))
        ]
        gevent.joinall(
            [gevent.spawn(self._prepare, cls) for cls in missing], timeout=self.limits.timeout
        )

    def take_turns(self, rate: PerSecond) -> None:
        """As many users of each class as `rate` keeps busy take turns from here on."""
        self._pool.turns = {
            cls: self._busy_users(cls, rate) for cls in dict.fromkeys(t.user for t in self.tasks)
        }

    def _busy_users(self, cls: type[Any], rate: PerSecond) -> int:
        """How many users of a class would be busy at `rate`, with tasks of READY_WITHIN each."""
        weight = sum(task.weight for task in self.tasks if task.user is cls)
        total = sum(task.weight for task in self.tasks)
        return min(READY_MOST, math.ceil(rate * READY_WITHIN * weight / total))

    def _prepare(self, cls: type[Any]) -> None:
        try:
            self._pool.give(self._new(cls))
        # `on_start` may raise anything; the arrivals will meet it again.
        except (Exception, SystemExit) as error:
            self._before.append(f"on_start of {cls.__name__}: {self._words(error)}")

    def _new(self, cls: type[Any]) -> PooledUser:
        self.counts.opened += 1
        user = PooledUser(cls, self._environment, self._mark)
        user.instance.on_start()
        return user

    def _mark(self, user: Any) -> None:
        """Every request of Locust's own clients says where it comes from, and none leaves for
        another host. A client of the user's own is left alone.
        """
        client: Any = getattr(user, "client", None)
        if not isinstance(client, HttpSession | FastHttpSession):
            return
        marks = {
            "User-Agent": f"perfhunt/{__version__} (run={self._run})",
            "X-Perfhunt-Run": self._run,
        }
        own: Any = client  # Locust's types leave out what they take from elsewhere
        if isinstance(client, HttpSession):
            own.headers.update(marks)
        else:
            own.client.default_headers.update(marks)
        build = own._build_url
        own._build_url = lambda path: self._asks(build(path))

    def _asks(self, url: str) -> str:
        """A request of one of Locust's clients begins: its url, if that is the target's. Raises
        NotCleared.
        """
        place = urlsplit(url).netloc.rpartition("@")[2]
        if place != urlsplit(self._url).netloc.rpartition("@")[2]:
            self._refuse(redact.url(f"//{place}").removeprefix("//"))
        if (running := _cause()) is not None:
            running.asking = monotonic()
        return url

    @property
    def open(self) -> int:
        """Users that exist now, each with a connection or more."""
        return (
            sum(len(users) for users in self._pool.free.values())
            + len(self.in_flight)
            + len(self.orphans)
        )

    @property
    def idle(self) -> int:
        """How many tasks of earlier trials are in no request, so that the target owes them nothing;
        0 where a client is the user's own.
        """
        return sum(
            running.asking is None and self._tells(running.endpoint) for running in self.orphans
        )

    def _tells(self, endpoint: int) -> bool:
        """Whether its client says when a request begins."""
        return issubclass(self.tasks[endpoint].user, HttpUser | FastHttpUser)

    def offer(self, due: Seconds, endpoint: int, row: int) -> None:
        """An arrival is due: start its task now, or queue it when too many users are busy."""
        if len(self.in_flight) + len(self.orphans) < self.limits.in_flight:
            self._start(due, endpoint, monotonic(), 0.0)
        else:
            self.counts.queued += 1
            self.waiting.append((due, endpoint, monotonic()))

    def _start(self, due: Seconds, endpoint: int, now: Seconds, wait: Seconds) -> None:
        running = RunningTask(due=due, endpoint=endpoint, begun=now, sent=now, wait=wait)
        self.in_flight[running] = None
        self.counts.sent += 1
        running.greenlet = gevent.spawn(self._carry_out, running)

    def _carry_out(self, running: RunningTask) -> None:
        task = self.tasks[running.endpoint]
        greenlet = gevent.getcurrent()
        greenlet.spawn_tree_locals = {**(greenlet.spawn_tree_locals or {}), _CAUSE: running}
        user = None
        try:
            user = self._pool.take(task.user)
            if user is None:
                began = monotonic()
                user = self._new(task.user)
                running.wait += monotonic() - began
            running.sent = monotonic()
            running.outcome, running.status, running.size = RequestOutcome.OK, 0, 0
            running.caused, running.requests, running.asked = False, 0, 0.0
            user.run(task.body, lambda: running.caused)
        except (StopUser, StopTest):  # of a task, Locust takes the two for the same
            self._stop(user)
            user = None
        # The user's own task may raise anything: it counts as failed. `sys.exit` ends no more.
        except (Exception, SystemExit) as error:
            running.outcome = (
                outcome_of(error) if running.outcome == RequestOutcome.OK else running.outcome
            )
            self.counts.note(f"{task.name}: {self._words(error)}")
            self._events.user_error.fire(
                user_instance=user and user.instance, exception=error, tb=error.__traceback__
            )
        self._ended(running, user)

    def _stop(self, user: PooledUser | None) -> None:
        try:
            if user is not None:
                user.stop()
        except Exception as error:  # on_stop may raise anything, and the user is gone all the same
            self.counts.note(f"on_stop: {self._words(error)}")

    def farewell(self, within: Seconds) -> None:
        """The test is over for every user that has nothing to do: `on_stop`, as in Locust. Who is
        not done within so many seconds is not waited for.
        """
        stopping = Pool(STOPPING)
        leaving = gevent.spawn(stopping.map, self._stop, self._pool.everyone())
        leaving.join(within)

    def _ended(self, running: RunningTask, user: PooledUser | None) -> None:
        now = monotonic()
        self.orphans.pop(running, None)
        if user is not None:
            self._pool.give(user)
        if not running.ended:
            self._record(running, now, running.outcome)
            del self.in_flight[running]
        self._serve_waiting()
        if now >= self.next_due:
            self.pace()

    def _record(self, running: RunningTask, now: Seconds, outcome: int) -> None:
        running.ended, running.outcome = True, outcome
        task = self.tasks[running.endpoint]
        # Of a client of the user's own it is not known whether a task that did not end is in it.
        if outcome not in _CUT_OFF or self._tells(running.endpoint):
            self.counts.count_task(running.passed(task.name, now))
        self.recorder.add(
            running.due,
            running.sent - self.epoch - running.due,
            now - running.sent,
            running.size,
            running.status,
            running.endpoint,
            outcome,
            running.wait,
        )

    def _on_request(
        self,
        response_time: float = 0.0,
        response_length: int = 0,
        response: Any = None,
        exception: Any = None,
        **more: Any,
    ) -> None:
        """From Locust, for each request: the worst that a task caused is how the task ended. One
        that came to its end after its task, or was no task's, is an arrival of its own.
        """
        running = _cause()
        if running is None and not self._begun:
            if exception is not None:
                self._before.append(f"before the load: {self._words(exception)}")
            return
        if running is not None:
            running.caused = True
        outcome, size = int(RequestOutcome.OK), int(response_length or 0)
        status = int(getattr(response, "status_code", 0) or 0)
        if exception is not None:
            outcome = RequestOutcome.STATUS if status else outcome_of(exception)
            self.counts.note(self._words(exception))
        if running is None or running.ended:
            # What an arrival was cut off with, at the end of a trial, counts as that.
            if running is None or running.outcome != RequestOutcome.CUT:
                self._record_uncaused((response_time or 0.0) / _MILLISECONDS, size, status, outcome)
            return
        running.asking = None
        running.requests += 1
        running.asked += (response_time or 0.0) / _MILLISECONDS
        running.size += size
        running.status = max(running.status, status)
        if outcome != RequestOutcome.OK:
            running.outcome = outcome

    def _record_uncaused(self, service: Seconds, size: int, status: int, outcome: int) -> None:
        due = monotonic() - self.epoch - service
        if due >= 0:  # else it was sent before the trial
            self.recorder.add(due, 0.0, service, size, status, len(self.tasks), outcome, 0.0)

    def _serve_waiting(self) -> None:
        while self.waiting and len(self.in_flight) + len(self.orphans) < self.limits.in_flight:
            due, endpoint, since = self.waiting.popleft()
            now = monotonic()
            if now - self.epoch - due > self.limits.deadline:
                self._shed(due, endpoint, now, since)
            else:
                self._start(due, endpoint, now, now - since)

    def _shed(self, due: Seconds, endpoint: int, now: Seconds, since: Seconds) -> None:
        self.recorder.add(
            due, now - self.epoch - due, 0.0, 0, 0, endpoint, RequestOutcome.SHED, now - since
        )

    def sweep(self, now: Seconds) -> None:
        """Ends tasks that take longer than the timeout, and sheds what has waited longer than the
        deadline.
        """
        for group in (self.in_flight, self.orphans):
            for running in [a for a in group if now - a.begun >= self.limits.timeout]:
                if not running.ended:
                    running.size = 0
                    self._record(
                        running, running.sent + self.limits.timeout, RequestOutcome.TIMEOUT
                    )
                del group[running]
                running.greenlet.kill(block=False)  # its user goes with it
        while self.waiting and now - self.epoch - self.waiting[0][0] > self.limits.deadline:
            due, endpoint, since = self.waiting.popleft()
            self._shed(due, endpoint, now, since)

    def cut(self, now: Seconds, hard: bool) -> None:
        """The trial is over: tasks under way are recorded at the age they have, and finish unless
        `hard`.
        """
        self._begun = False
        while self.waiting:
            due, endpoint, since = self.waiting.popleft()
            self._shed(due, endpoint, now, since)
        for running in list(self.in_flight):
            running.size = running.status = 0
            self._record(running, now, RequestOutcome.CUT)
            self.orphans[running] = None
        self.in_flight.clear()
        if hard:
            gevent.killall([a.greenlet for a in self.orphans], block=False)
            self.orphans.clear()

    def begin_trial(self, recorder: Recorder, epoch: Seconds, settle: Seconds) -> None:
        """Counts from zero into `recorder`."""
        self.recorder, self.epoch, self.counts = recorder, epoch, SendCounts()
        self._begun = True
        for words in self._before:
            self.counts.note(words)
        self._before.clear()


def _cause() -> RunningTask | None:
    """The task under way, or not long over, that this greenlet was spawned for."""
    locals_of: dict[str, RunningTask] = (
        getattr(gevent.getcurrent(), "spawn_tree_locals", None) or {}
    )
    return locals_of.get(_CAUSE)
