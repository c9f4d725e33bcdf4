"""HTTP/1.1 over keep-alive connections, driven by the event loop's io watchers: no greenlet, no
string work per request.

Everything here runs in the loop's own callbacks, so nothing may block. One `Client` per load
process.
"""

from __future__ import annotations

import errno
import math
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from perfhunt.load.child.http.connection import Connection, Inspecting
from perfhunt.load.child.http.tls import TlsConnection
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.render import Payloads
from perfhunt.model.latency import RequestOutcome
from perfhunt.model.units import Seconds

REMEMBER = 256  # heads of answers at a time
FORGET = 8  # times that they were all forgotten, in one trial, until it is no use
_EXHAUSTED = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where to connect. `tls` is an ssl.SSLContext or None; `server_name` goes into the
    handshake.
    """

    family: socket.AddressFamily
    sockaddr: Any
    tls: Any = None
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait, and how much to have in flight at once."""

    timeout: Seconds = 10.0
    deadline: Seconds = 2.0
    in_flight: int = 10_000


@dataclass(slots=True)
class ClientCounts:
    """What the client counted since the trial began."""

    sent: int = 0
    opened: int = 0
    resent: int = 0  # met a keep-alive connection that the server was just closing
    stray: int = 0  # connections that sent bytes nobody had asked for
    queued: int = 0  # waited for a connection because the bound on requests in flight was reached
    most_open: int = 0  # connections at once
    errors: dict[str, int] = field(default_factory=dict)

    def note(self, error: str) -> None:
        """Counts an error by its text."""
        if error in self.errors or len(self.errors) < 20:
            self.errors[error] = self.errors.get(error, 0) + 1


class Client:
    """Sends each arrival the moment it is offered, on an idle connection or a new one, and records
    how it ended.
    """

    def __init__(
        self, loop: Any, address: ServerAddress, endpoints: Sequence[Payloads], limits: Limits
    ) -> None:
        self.loop = loop
        self.address = address
        self.endpoints = endpoints
        self.limits = limits
        self.recorder = Recorder("")
        self.tally = ClientCounts()
        self.epoch: Seconds = 0.0  # when the trial began, on time.monotonic's clock
        self.next_due: Seconds = math.inf  # when the pacer wants to be woken, same clock
        self.pace: Callable[[], None] = _nothing
        self.refill: Callable[[], None] | None = None  # closed loop: called when an answer has come
        self.answers: dict[
            bytes, tuple[int, int]
        ] = {}  # head of an answer -> its whole length, its status
        self._forgotten = 0
        self.idle: list[Connection] = []
        self.in_flight: dict[Connection, None] = {}  # oldest first
        self.orphans: dict[Connection, None] = {}
        self.waiting: deque[tuple[Seconds, int, bytes, Seconds]] = deque()
        self.passes = [_expected(e) for e in endpoints]
        self.texts = [e.expect.body.encode() if e.expect.body else b"" for e in endpoints]
        self.heads = [e.endpoint.method == "HEAD" for e in endpoints]
        self.repeatable = [
            e.endpoint.method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS") for e in endpoints
        ]
        self._inspects = any(self.texts) or any(self.heads)
        self._kind = self._connection_kind()

    def _connection_kind(self) -> type[Connection]:
        if self.address.tls is not None:
            return TlsConnection
        return Inspecting if self._inspects else Connection

    @property
    def open(self) -> int:
        """Connections that exist now."""
        return len(self.idle) + len(self.in_flight) + len(self.orphans)

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
            self.tally.queued += 1
            self.waiting.append((due, endpoint, payload, monotonic()))

    def _on_new(
        self, due: Seconds, endpoint: int, payload: bytes, sent: Seconds, wait: Seconds
    ) -> None:
        """Sends on a connection of its own; `sent` is when its sending began, the connecting
        included.
        """
        self.tally.opened += 1
        try:
            connection = self._kind(self)
        except OSError as error:
            kind = RequestOutcome.GENERATOR if error.errno in _EXHAUSTED else RequestOutcome.CONNECT
            self.tally.note(_text(error))
            self.tally.sent += 1
            lag = sent - self.epoch - due
            self.recorder.add(due, lag, monotonic() - sent, 0, 0, endpoint, kind, wait)
            return
        connection.begin(due, endpoint, payload, sent, wait)

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
        """Remembers a whole answer that came in one piece, if its head alone says how long it
        is.
        """
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
        self.tally.resent += 1
        self.tally.sent -= 1
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

    def begin_trial(self, recorder: Recorder, epoch: Seconds) -> None:
        """Counts from zero into `recorder`."""
        self.recorder, self.epoch, self.tally = recorder, epoch, ClientCounts()
        self.answers.clear()
        self._forgotten = 0


def _nothing() -> None:
    """The pacer of a client that has none."""


def _text(error: OSError) -> str:
    return f"{type(error).__name__}: {error.strerror or error}"


def _expected(payloads: Payloads) -> bytes:
    """A table of 1000 status codes: 1 where the answer counts as success."""
    wanted = payloads.expect.status
    return bytes((code in wanted) if wanted else (200 <= code < 400) for code in range(1000))
