"""The fast client for traffic that has journeys: a step's answer fills and sends the next one. In a
file of its own, so that single requests pay nothing for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from time import monotonic
from typing import Any

from perfhunt.errors import Unreadable
from perfhunt.load.child.http.address import ServerAddress
from perfhunt.load.child.http.client import Client
from perfhunt.load.child.http.connection import Connection
from perfhunt.load.child.http.cookies import Cookies
from perfhunt.load.child.http.inspecting import HeaderReader
from perfhunt.load.child.http.tls import TlsConnection
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.sender import SendLimits
from perfhunt.load.render import Payloads, path_of, prepare_later
from perfhunt.model.latency import RequestOutcome
from perfhunt.model.testfile.feed import FeedRow, value_at
from perfhunt.model.units import Seconds


@dataclass(frozen=True, slots=True)
class Walk:
    """A journey on its way: what fills its steps, and the cookies it was given."""

    values: FeedRow
    cookies: Cookies


class TlsHeaderReader(HeaderReader, TlsConnection):
    """The same over TLS."""

    __slots__ = ()


class JourneyClient(Client):
    """Sends the first step of a journey as its arrival, and each later one when the one before it
    was answered, or `think` after that. Then it is due; nothing is before its answer is there.
    """

    def __init__(
        self,
        loop: Any,
        address: ServerAddress,
        firsts: Sequence[Payloads],
        limits: SendLimits,
        url: str,
    ) -> None:
        """Endpoints are numbered as `Question.steps` are. `url` is what cookies are kept for.
        Raises TrafficError.
        """
        later = [prepare_later(step, first) for first in firsts for step in first.endpoint.then]
        super().__init__(loop, address, [*firsts, *later], limits)
        self._url = url
        self._next: dict[int, int] = {}  # from a step to the one after it
        self._left: dict[int, int] = {}  # how many come after a step
        number = len(firsts)
        for first, payloads in enumerate(firsts):
            then = [first, *range(number, number + len(payloads.endpoint.then))]
            number += len(then) - 1
            self._next |= dict(pairwise(then))
            self._left |= {step: len(then) - 1 - n for n, step in enumerate(then)}
        self.reads = [step in self._next for step in range(len(self.endpoints))]
        self._inspects = True
        self._kind = HeaderReader if address.tls is None else TlsHeaderReader
        # A request's due time names it, as in the samples.
        self._walks: dict[Seconds, Walk] = {}
        self._thinking: set[Any] = set()
        self.lasts: Seconds = 0.0  # of the trial that is about to begin; a probe is no journey
        self._until: Seconds = -math.inf  # when no step is sent any more, from the epoch

    def begin_trial(self, recorder: Recorder, epoch: Seconds, settle: Seconds) -> None:
        super().begin_trial(recorder, epoch, settle)
        self._until, self.lasts = self.lasts, 0.0

    def end_journeys(self) -> None:
        """No step is sent from here on, as no arrival is."""
        self._until = -math.inf

    def offer(self, due: Seconds, endpoint: int, row: int) -> None:
        if endpoint in self._next and due < self._until:
            values = self.endpoints[endpoint].values(row)
            self._walks[due] = Walk(dict(values), Cookies(self._url))
        super().offer(due, endpoint, row)

    def finished(self, connection: Connection, now: Seconds, outcome: int, keep: bool) -> None:
        walk = None if connection.orphan else self._walks.pop(connection.due, None)
        if walk is None:
            super().finished(connection, now, outcome, keep)
            return
        endpoint, payload = connection.endpoint, b""
        if outcome == RequestOutcome.OK:
            try:
                payload = self._filled(walk, connection)
            except (Unreadable, ValueError) as error:
                name = self.endpoints[endpoint].endpoint.name
                self.counts.note(f"{name}: {getattr(error, 'message', None) or error}")
                outcome = RequestOutcome.STATUS
        super().finished(connection, now, outcome, keep)
        if payload:
            self._go_on(walk, self._next[endpoint], payload, now - self.epoch)
        else:
            self._end(endpoint)

    def _filled(self, walk: Walk, connection: Any) -> bytes:
        """The step after the one that was answered. Raises Unreadable or ValueError where the
        answer has not what it needs.
        """
        step = self.endpoints[connection.endpoint].endpoint
        body, headers = connection.body if step.extract else b"", connection.headers
        walk.cookies.take(path_of(connection.payload), headers)
        for name, place in step.extract:
            try:
                walk.values[name] = value_at(place, headers, body)
            except Unreadable as error:
                raise Unreadable(f"extract.{name}: {error.message}") from None
        return self.endpoints[self._next[connection.endpoint]].filled(
            walk.values, walk.cookies.header
        )

    def _go_on(self, walk: Walk, endpoint: int, payload: bytes, answered: Seconds) -> None:
        think = self.endpoints[endpoint].endpoint.think
        if not think:
            self._send(walk, endpoint, payload, answered)
        elif answered + think < self._until:
            timer = self.loop.timer(think)
            self._thinking.add(timer)
            timer.start(self._thought, timer, walk, endpoint, payload, answered + think)

    def _thought(self, timer: Any, walk: Walk, endpoint: int, payload: bytes, due: Seconds) -> None:
        self._thinking.discard(timer)
        timer.close()
        # The loop's clock may be a little ahead of ours, and nothing is sent before it is due.
        self._send(walk, endpoint, payload, min(due, monotonic() - self.epoch))

    def _send(self, walk: Walk, endpoint: int, payload: bytes, due: Seconds) -> None:
        if due >= self._until:
            return
        while due in self._walks:
            due = math.nextafter(due, math.inf)
        if endpoint in self._next:
            self._walks[due] = walk
        rows = self.endpoints[endpoint].made
        rows[0] = payload  # the only row of a later step
        super().offer(due, endpoint, 0)
        rows.clear()

    def _end(self, endpoint: int) -> None:
        """The journey ends with a step that was not answered as it must be. There are no more such
        texts than steps, so each is told.
        """
        left, name = self._left[endpoint], self.endpoints[endpoint].endpoint.name
        later = "1 later step was" if left == 1 else f"{left} later steps were"
        text = f"{name} was not answered as it must be, so {later} not sent"
        self.counts.errors[text] = self.counts.errors.get(text, 0) + 1

    def unopened(
        self, due: Seconds, endpoint: int, sent: Seconds, wait: Seconds, error: OSError
    ) -> None:
        super().unopened(due, endpoint, sent, wait, error)
        if self._walks.pop(due, None) is not None:
            self._end(endpoint)

    def shed(self, due: Seconds, endpoint: int, now: Seconds, since: Seconds) -> None:
        super().shed(due, endpoint, now, since)
        if self._walks.pop(due, None) is not None:
            self._end(endpoint)

    def cut(self, now: Seconds, hard: bool) -> None:
        self._until = -math.inf
        self._walks.clear()
        for timer in self._thinking:
            timer.close()
        self._thinking.clear()
        super().cut(now, hard)
