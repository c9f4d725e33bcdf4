"""Arrivals that are errands of a locustfile: each runs one task of a pooled user, and counts from
when it was due.

Only the users' `wait_time` is not used: the arrivals decide when.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import gevent
from locust.env import Environment
from locust.exception import StopUser

from perfhunt import __version__
from perfhunt.errors import LoadFailed
from perfhunt.load.child.http.client import ClientCounts, Limits
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.users.failures import outcome_of
from perfhunt.load.child.users.locustfile import Actor, Pool, UserTask
from perfhunt.model.latency import RequestOutcome
from perfhunt.model.units import PerSecond, Seconds

USERS = 1000  # at once; each has a client, and cookies, of its own
READY_SHARE: Seconds = 0.1  # users prepared beforehand: what tasks of this length would need


@dataclass(eq=False, slots=True)
class Arrival:
    """One errand on its way. `sent` is when its task began: preparing a user for it comes before,
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
    greenlet: Any = None
    ended: bool = False


class UserTasks:
    """Does for the pacer what the fast client does, by running a locustfile's tasks."""

    def __init__(
        self,
        errands: Sequence[UserTask],
        environment: Environment,
        limits: Limits,
        url: str,
        run: str,
    ) -> None:
        self.errands, self.limits = tuple(errands), limits
        self._environment, self._url, self._run = environment, url, run
        self._pool = Pool()
        self.recorder, self.tally, self.epoch = Recorder(""), ClientCounts(), 0.0
        self.next_due: Seconds = math.inf
        self.pace: Callable[[], None] = _nothing
        self.refill: Callable[[], None] | None = None
        self.in_flight: dict[Arrival, None] = {}
        self.orphans: dict[Arrival, None] = {}
        self.waiting: deque[tuple[Seconds, int, Seconds]] = deque()
        self._by_greenlet: dict[Any, Arrival] = {}
        events: Any = environment.events
        self._events = events
        events.request.add_listener(self._on_request)

    def warm(self, rate: PerSecond, seed: int) -> None:
        """Prepares users before the load starts, `on_start` included, and seeds the chance in their
        tasks.
        """
        random.seed(seed)
        total = sum(e.weight for e in self.errands)
        wanted = [
            (
                cls,
                min(
                    50,
                    math.ceil(
                        rate
                        * READY_SHARE
                        * sum(e.weight for e in self.errands if e.user is cls)
                        / total
                    ),
                ),
            )
            for cls in {e.user: None for e in self.errands}
        ]
        missing = [
            cls for cls, count in wanted for _ in range(count - len(self._pool.free.get(cls, ())))
        ]
        gevent.joinall(
            [gevent.spawn(self._prepare, cls) for cls in missing], timeout=self.limits.timeout
        )

    def _prepare(self, cls: type[Any]) -> None:
        try:
            self._pool.give(self._new(cls))
        except (
            Exception
        ) as error:  # the user's own on_start may raise anything; the arrivals will meet it again
            self.tally.note(f"on_start of {cls.__name__}: {type(error).__name__}: {error}")

    def _new(self, cls: type[Any]) -> Actor:
        self.tally.opened += 1
        actor = Actor(cls, self._environment, self._mark)
        actor.user.on_start()
        return actor

    def _mark(self, user: Any) -> None:
        """Every request says where it comes from, and none leaves for another host."""
        client: Any = getattr(user, "client", None)
        marks = {
            "User-Agent": f"perfhunt/{__version__} (run={self._run})",
            "X-Perfhunt-Run": self._run,
        }
        if hasattr(client, "headers"):
            client.headers.update(marks)
        elif hasattr(client, "client"):
            client.client.default_headers.update(marks)
        if hasattr(client, "_build_url"):
            build = client._build_url
            client._build_url = lambda path: _same_host(build(path), self._url)

    @property
    def open(self) -> int:
        """Users that exist now, each with a connection or more."""
        return (
            sum(len(actors) for actors in self._pool.free.values())
            + len(self.in_flight)
            + len(self.orphans)
        )

    def offer(self, due: Seconds, endpoint: int, row: int) -> None:
        """An arrival is due: start its task now, or queue it when too many users are busy."""
        if len(self.in_flight) + len(self.orphans) < self.limits.in_flight:
            self._start(due, endpoint, monotonic(), 0.0)
        else:
            self.tally.queued += 1
            self.waiting.append((due, endpoint, monotonic()))

    def _start(self, due: Seconds, endpoint: int, now: Seconds, wait: Seconds) -> None:
        arrival = Arrival(due, endpoint, now, now, wait)
        self.in_flight[arrival] = None
        self.tally.sent += 1
        arrival.greenlet = gevent.spawn(self._carry_out, arrival)

    def _carry_out(self, arrival: Arrival) -> None:
        errand = self.errands[arrival.endpoint]
        self._by_greenlet[gevent.getcurrent()] = arrival
        actor = None
        try:
            actor = self._pool.take(errand.user)
            if actor is None:
                began = monotonic()
                actor = self._new(errand.user)
                arrival.wait += monotonic() - began
            arrival.sent = monotonic()
            arrival.outcome, arrival.status, arrival.size = RequestOutcome.OK, 0, 0
            actor.run(errand.task)
        except StopUser:
            actor = None
        except Exception as error:  # the user's own task may raise anything: it counts as failed
            arrival.outcome = (
                outcome_of(error) if arrival.outcome == RequestOutcome.OK else arrival.outcome
            )
            self.tally.note(f"{errand.name}: {type(error).__name__}: {error}"[:200])
            self._events.user_error.fire(
                user_instance=actor and actor.user, exception=error, tb=error.__traceback__
            )
        finally:
            self._by_greenlet.pop(gevent.getcurrent(), None)
        self._ended(arrival, actor)

    def _ended(self, arrival: Arrival, actor: Actor | None) -> None:
        now = monotonic()
        self.orphans.pop(arrival, None)
        if actor is not None:
            self._pool.give(actor)
        if not arrival.ended:
            self._record(arrival, now, arrival.outcome)
            del self.in_flight[arrival]
        self._serve_waiting()
        if now >= self.next_due:
            self.pace()

    def _record(self, arrival: Arrival, now: Seconds, outcome: int) -> None:
        arrival.ended = True
        self.recorder.add(
            arrival.due,
            arrival.sent - self.epoch - arrival.due,
            now - arrival.sent,
            arrival.size,
            arrival.status,
            arrival.endpoint,
            outcome,
            arrival.wait,
        )

    def _on_request(
        self, response_length: int = 0, response: Any = None, exception: Any = None, **more: Any
    ) -> None:
        """From Locust, for each HTTP request of a task: the worst of them is how the task ended."""
        arrival = self._by_greenlet.get(gevent.getcurrent())
        if arrival is None:
            return
        arrival.size += int(response_length or 0)
        status = int(getattr(response, "status_code", 0) or 0)
        arrival.status = max(arrival.status, status)
        if exception is not None:
            arrival.outcome = RequestOutcome.STATUS if status else outcome_of(exception)
            self.tally.note(f"{type(exception).__name__}: {exception}"[:200])

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
            for arrival in [a for a in group if now - a.begun >= self.limits.timeout]:
                if not arrival.ended:
                    arrival.size = 0
                    self._record(
                        arrival, arrival.sent + self.limits.timeout, RequestOutcome.TIMEOUT
                    )
                del group[arrival]
                arrival.greenlet.kill(block=False)  # its user goes with it
        while self.waiting and now - self.epoch - self.waiting[0][0] > self.limits.deadline:
            due, endpoint, since = self.waiting.popleft()
            self._shed(due, endpoint, now, since)

    def cut(self, now: Seconds, hard: bool) -> None:
        """The trial is over: tasks under way are recorded at the age they have, and finish unless
        `hard`.
        """
        while self.waiting:
            due, endpoint, since = self.waiting.popleft()
            self._shed(due, endpoint, now, since)
        for arrival in list(self.in_flight):
            arrival.size = arrival.status = 0
            self._record(arrival, now, RequestOutcome.CUT)
            self.orphans[arrival] = None
        self.in_flight.clear()
        if hard:
            gevent.killall([a.greenlet for a in self.orphans], block=False)
            self.orphans.clear()

    def begin_trial(self, recorder: Recorder, epoch: Seconds) -> None:
        """Counts from zero into `recorder`."""
        self.recorder, self.epoch, self.tally = recorder, epoch, ClientCounts()


def _nothing() -> None:
    """The pacer of a client that has none."""


def _same_host(url: str, target: str) -> str:
    """The url, if it goes where load is allowed. Raises LoadFailed."""
    if urlsplit(url).netloc.rpartition("@")[2] != urlsplit(target).netloc.rpartition("@")[2]:
        raise LoadFailed(f"the locustfile asks for {url}, which is not the target {target}")
    return url
