"""HTTP/1.1 over keep-alive connections, driven by the event loop's io watchers: no greenlet, no
string work per request.

Everything here runs in the loop's own callbacks, so nothing may block. One `Client` per load
process.
"""

from __future__ import annotations

import errno
import math
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from perfhunt.load.child.http.address import ServerAddress
from perfhunt.load.child.http.connection import Connection
from perfhunt.load.child.http.inspecting import InspectingConnection
from perfhunt.load.child.http.tls import TlsConnection
from perfhunt.load.child.http.wire import WireCounts
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.sender import SendCounts, SendLimits, no_pace
from perfhunt.load.render import Payloads
from perfhunt.model.latency import RequestOutcome
from perfhunt.model.units import Seconds

# A service has a few different heads of answers per route and status; one with a request id in each
# has as many as answers, and remembering them would only cost.
REMEMBER = 256  # heads at a time
FORGET = 8  # times that they were all forgotten, in one trial, until it is no use
# Idempotent methods (RFC 9110, 9.2.2): a request that met a closing connection may be sent again.
REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_UNENDED = "the answer began, and did not end in time (a stream?)"
_EXHAUSTED = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
)


class Client:
    """Sends each arrival the moment it is offered, on an idle connection or a new one, and records
    how it ended.
    """

    def __init__(
        self, loop: Any, address: ServerAddress, endpoints: Sequence[Payloads], limits: SendLimits
    ) -> None:
        self.loop = loop
        self.address = address
        self.endpoints = endpoints
        self.limits = limits
        self.recorder = Recorder("")
        self.wire = WireCounts()
        self.counts = SendCounts()
        self.epoch: Seconds = 0.0  # when the trial began, on time.monotonic's clock
        self.next_due: Seconds = math.inf  # when the pacer wants to be woken, same clock
        self.pace: Callable[[], None] = no_pace
        self.refill: Callable[[], None] | None = None  # closed loop: called when an answer has come
        # The head of an answer to its whole length and its status.
        self.answers: dict[bytes, tuple[int, int]] = {}
        self._forgotten = 0
        self.idle: list[Connection] = []
        self.in_flight: dict[Connection, None] = {}  # oldest first
        self.orphans: dict[Connection, None] = {}
        self.waiting: deque[tuple[Seconds, int, bytes, Seconds]] = deque()
        # By endpoint, as ConnectionOwner says.
        methods = [e.endpoint.method for e in endpoints]
        self.passes: Sequence[bytes] = [_expected(e) for e in endpoints]
        self.texts: Sequence[bytes] = [(e.endpoint.expect.body or "").encode() for e in endpoints]
        self.heads: Sequence[bool] = [method == "HEAD" for method in methods]
        self.reads: Sequence[bool] = [False] * len(endpoints)
        self.repeatable: Sequence[bool] = [method in REPEATABLE for method in methods]
        self._inspects = any(self.texts) or any(self.heads)
        self._kind = self._connection_kind()

    def _connection_kind(self) -> type[Connection]:
        if self.address.tls is not None:
            return TlsConnection
        return InspectingConnection if self._inspects else Connection

    @property
    def open(self) -> int:
        """Connections that exist now."""
        return len(self.idle) + len(self.in_flight) + len(self.orphans)

    @property
    def spare(self) -> bool:
        """Whether a connection is idle, or none may be opened: then an arrival waits its turn."""
        return bool(self.idle) or len(self.in_flight) + len(self.orphans) >= self.limits.in_flight

    def offer(self, due: Seconds, endpoint: int, row: int) -> None:
        """An arrival is due (`due` counts from the epoch): send it now, or queue it when too much
        is in flight.
        """
        payload = self.endpoints[endpoint].get(row)
        if self.idle:
            now = monotonic()
            self.idle.pop().begin(due, endpoint, payload, now, 0.0)
        elif len(self.in_flight) + len(self.orphans) < self.limits.in_flight:
            self._on_new(due, endpoint, payload, monotonic(), 0.0)
        else:
            self.counts.queued += 1
            self.waiting.append((due, endpoint, payload, monotonic()))

    def _on_new(
        self, due: Seconds, endpoint: int, payload: bytes, sent: Seconds, wait: Seconds
    ) -> None:
        """Sends on a connection of its own; `sent` is when its sending began, the connecting
        included.
        """
        self.counts.opened += 1
        try:
            connection = self._kind(self)
        except OSError as error:
            self.unopened(due, endpoint, sent, wait, error)
            return
        connection.begin(due, endpoint, payload, sent, wait)

    def unopened(
        self, due: Seconds, endpoint: int, sent: Seconds, wait: Seconds, error: OSError
    ) -> None:
        """An arrival found no connection: that is how it ended."""
        kind = RequestOutcome.GENERATOR if error.errno in _EXHAUSTED else RequestOutcome.CONNECT
        self.counts.note(_text(error))
        self.counts.sent += 1
        lag = sent - self.epoch - due
        self.recorder.add(due, lag, monotonic() - sent, 0, 0, endpoint, kind, wait)

    def finished(self, connection: Connection, now: Seconds, outcome: int, keep: bool) -> None:
        """A connection's request has ended; `keep` says whether the connection can take another."""
        if connection.orphan:
            self.orphans.pop(connection, None)
        else:
            self.in_flight.pop(connection, None)
            sent = connection.sent
            self.recorder.add(
                connection.due,
                sent - self.epoch - connection.due,
                now - sent,
                connection.size,
                connection.status,
                connection.endpoint,
                outcome,
                connection.wait,
            )
        if keep:
            connection.rest(now)
            self.idle.append(connection)
        else:
            connection.close()
        if self.waiting:
            self._serve_waiting()
        elif self.refill is not None:
            self.refill()

    def learn(self, content: bytes, status: int) -> None:
        """Remembers an answer that came in one piece, if its head alone says how long it is."""
        head = content[: content.find(b"\r\n\r\n")]
        # After an interim answer the first head is not the answer's; a chunked body's length is not
        # in the head.
        if (
            self._inspects
            or self._forgotten > FORGET
            or head[9:12] != b"%d" % status
            or b"transfer-encoding" in head.lower()
        ):
            return
        if len(self.answers) >= REMEMBER:
            # Heads that are all different (a request id in each) would only cost.
            self.answers.clear()
            self._forgotten += 1
        self.answers[head] = (len(content), status)
        self.wire.read_head(head)

    def _serve_waiting(self) -> None:
        while self.waiting and (
            self.idle or len(self.in_flight) + len(self.orphans) < self.limits.in_flight
        ):
            due, endpoint, payload, since = self.waiting.popleft()
            now = monotonic()
            if now - self.epoch - due > self.limits.deadline:
                self.shed(due, endpoint, now, since)
            elif self.idle:
                self.idle.pop().begin(due, endpoint, payload, now, now - since)
            else:
                self._on_new(due, endpoint, payload, now, now - since)

    def shed(self, due: Seconds, endpoint: int, now: Seconds, since: Seconds) -> None:
        """An arrival is never sent: too late. What is known is its age."""
        self.recorder.add(
            due, now - self.epoch - due, 0.0, 0, 0, endpoint, RequestOutcome.SHED, now - since
        )

    def resend(self, connection: Connection) -> None:
        """The server closed an idle connection just as it was written to: the same request on a new
        one, clock running.
        """
        self.counts.resent += 1
        self.counts.sent -= 1
        if connection.orphan:
            self.orphans.pop(connection, None)
            connection.close()
            return
        self.in_flight.pop(connection, None)
        connection.close()
        self._on_new(
            connection.due,
            connection.endpoint,
            connection.payload,
            connection.sent,
            connection.wait,
        )

    def dropped(self, connection: Connection) -> None:
        """An idle connection has gone."""
        connection.close()
        if connection in self.idle:
            self.idle.remove(connection)

    def sweep(self, now: Seconds) -> None:
        """Ends what has taken longer than the timeout, and sheds what has waited longer than the
        deadline.
        """
        for group in (self.in_flight, self.orphans):
            while group:
                oldest = next(iter(group))
                if now - oldest.sent < self.limits.timeout:
                    break
                if oldest.size:
                    self.counts.note(_UNENDED)
                oldest.size = 0
                self.finished(
                    oldest, oldest.sent + self.limits.timeout, RequestOutcome.TIMEOUT, keep=False
                )
        while self.waiting and now - self.epoch - self.waiting[0][0] > self.limits.deadline:
            due, endpoint, _, since = self.waiting.popleft()
            self.shed(due, endpoint, now, since)

    def cut(self, now: Seconds, hard: bool) -> None:
        """The trial is over: what is unanswered is recorded at the age it has.

        Unless `hard`, the connections stay open until answered, so that a drain can tell when the
        target is done with them.
        """
        self.refill = None
        while self.waiting:
            due, endpoint, _, since = self.waiting.popleft()
            self.shed(due, endpoint, now, since)
        for connection in list(self.in_flight):
            sent = connection.sent
            self.recorder.add(
                connection.due,
                sent - self.epoch - connection.due,
                now - sent,
                0,
                0,
                connection.endpoint,
                RequestOutcome.CUT,
                connection.wait,
            )
            connection.orphan = True
            self.orphans[connection] = None
        self.in_flight.clear()
        if hard:
            for connection in [*self.orphans, *self.idle]:
                connection.close()
            self.orphans.clear()
            self.idle.clear()

    def begin_trial(self, recorder: Recorder, epoch: Seconds, settle: Seconds) -> None:
        """Counts from zero into `recorder`; what is due before `settle` does not count."""
        self.wire = WireCounts(settle, self.address.resolution)
        self.recorder, self.epoch, self.counts = recorder, epoch, SendCounts(wire=self.wire)
        self.answers.clear()
        self._forgotten = 0


def _text(error: OSError) -> str:
    return f"{type(error).__name__}: {error.strerror or error}"


def _expected(payloads: Payloads) -> bytes:
    """A table of 1000 status codes: 1 where the answer counts as success."""
    accepted = payloads.endpoint.expect.status
    return bytes((code in accepted) if accepted else (200 <= code < 400) for code in range(1000))
