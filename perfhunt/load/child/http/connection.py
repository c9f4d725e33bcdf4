"""One HTTP/1.1 connection as a state machine on io watchers: connecting, idle, or with one request
in flight.
"""

from __future__ import annotations

import errno
import socket as sockets
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Protocol

import gevent.monkey
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from perfhunt.load.child.http.address import ServerAddress
from perfhunt.load.child.http.framing import ResponseHead, spoken
from perfhunt.load.child.http.wire import WireCounts
from perfhunt.load.child.sender import SendCounts
from perfhunt.model.latency import RequestOutcome
from perfhunt.model.units import Seconds

READ, WRITE = 1, 2
OK, STATUS = int(RequestOutcome.OK), int(RequestOutcome.STATUS)
_Socket: Any = gevent.monkey.get_original("socket", "socket")
RECV = 1 << 16  # bytes read at once: a socket's usual buffer holds about as much
MAX_BODY = 1 << 28  # 256 MiB: read and counted up to here, never kept
# Servers close keep-alive connections after whole seconds of silence; a connection that was busy
# until just now and ends without a byte was reset, and is counted as that.
STALE: Seconds = 0.9
_END = b"\r\n\r\n"
_CONNECTING = frozenset({0, errno.EINPROGRESS})
# connect(2) of a unix socket that has no room for one more that waits to be accepted: there is
# nothing to wait for.
_REFUSALS = {errno.EAGAIN: "the accept queue of the unix socket is full"}


class ConnectionOwner(Protocol):
    """What a connection needs of the client it belongs to: where to connect, what counts as an
    answer, and who is told of its end.

    `answers` maps the head of an answer to its whole length and its status. By endpoint: `passes`
    is a table of status codes, 1 where one counts as success; `texts` what a body must contain;
    `heads` whether it asks by HEAD; `reads` whether its answers fill another request; `repeatable`
    whether a request may be sent again.
    """

    loop: Any
    address: ServerAddress
    counts: SendCounts
    wire: WireCounts
    next_due: Seconds
    pace: Callable[[], None]
    in_flight: dict[Connection, None]
    answers: dict[bytes, tuple[int, int]]
    passes: Sequence[bytes]
    texts: Sequence[bytes]
    heads: Sequence[bool]
    reads: Sequence[bool]
    repeatable: Sequence[bool]

    def finished(self, connection: Connection, now: Seconds, outcome: int, keep: bool) -> None:
        """Its request has ended; `keep` says whether it can take another."""

    def learn(self, content: bytes, status: int) -> None:
        """A whole answer came in one piece."""

    def resend(self, connection: Connection) -> None:
        """The server closed it just as it was written to."""

    def dropped(self, connection: Connection) -> None:
        """It has gone while it was idle."""


class Connection:
    """A keep-alive connection. Its read watcher runs as long as it lives; the write watcher only
    when a send would block.
    """

    __slots__ = (
        "_finish",
        "_head",
        "_left",
        "_loop",
        "_parser",
        "_recv",
        "_send",
        "_watch",
        "_watch_write",
        "began",
        "client",
        "complete",
        "connected",
        "due",
        "endpoint",
        "first",
        "head_first",
        "keep",
        "orphan",
        "payload",
        "sent",
        "served",
        "since",
        "size",
        "sock",
        "status",
        "wait",
    )

    def __init__(self, client: ConnectionOwner) -> None:
        """Starts to connect. Raises OSError when the host has no descriptor or port left, or
        refuses at once.
        """
        self.client = client
        self.began = monotonic()
        address = client.address
        sock = self.sock = _Socket(address.family, sockets.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if address.is_internet:
                sock.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
            error = sock.connect_ex(address.sockaddr)
            if error not in _CONNECTING:
                raise OSError(error, _REFUSALS.get(error) or errno.errorcode.get(error, "connect"))
        except OSError:
            sock.close()
            raise
        self._loop = client.loop
        self._recv, self._send = sock.recv, sock.send
        self._watch = client.loop.io(sock.fileno(), READ)
        self._watch_write: Any = None
        self._parser: Any = HttpResponseParser(self)
        self._left: bytes | memoryview = b""
        self._head: ResponseHead | None = None
        self.complete = self.connected = self.orphan = False
        self.served = 0
        self.since = self.first = 0.0
        self.head_first = False
        self.payload = b""
        self._watch.start(self.on_readable)

    def begin(
        self, due: Seconds, endpoint: int, payload: bytes, sent: Seconds, wait: Seconds
    ) -> None:
        """Sends a request; `sent` is the moment its sending is counted from."""
        self.due, self.endpoint, self.payload, self.sent, self.wait = (
            due,
            endpoint,
            payload,
            sent,
            wait,
        )
        self.size = self.status = 0
        self.client.in_flight[self] = None
        self.client.counts.sent += 1
        self.transmit(payload)

    def transmit(self, content: bytes | memoryview) -> None:
        """Writes what the socket takes and leaves the rest to the write watcher."""
        try:
            taken = self._send(content)
        except BlockingIOError:
            taken = 0
        except OSError as error:
            self.lost(error)
            return
        if taken == len(content):
            if not self.connected:
                self.stands()
            return
        # A view: of an upload the socket takes many pieces, and each rest would be a copy.
        self._left = memoryview(content)[taken:] if taken else content
        if self._watch_write is None:
            self._watch_write = self._loop.io(self.sock.fileno(), WRITE)
        self._watch_write.start(self.on_writable)

    def on_writable(self) -> None:
        """The connection stands, or failed to, or has room again."""
        self._watch_write.stop()
        if not self.connected:
            code = self.sock.getsockopt(sockets.SOL_SOCKET, sockets.SO_ERROR)
            if code:
                self.lost(OSError(code, errno.errorcode.get(code, "connect")))
                return
            self.stands()
        left, self._left = self._left, b""
        if left:
            # Not the subclass's: what is left over a TLS connection is ciphertext already.
            Connection.transmit(self, left)

    def stands(self) -> None:
        """The connection has been made."""
        self.connected = True
        self.client.wire.connected(self.due, monotonic() - self.began)

    def on_readable(self) -> None:
        """Bytes, or the end, have come."""
        try:
            content = self._recv(RECV)
        except BlockingIOError:
            return
        except OSError as error:
            self.lost(error)
            return
        now = monotonic()
        if content:
            self.take(content, now)
        else:
            self.ended(now)
        client = self.client
        if now >= client.next_due:
            client.pace()

    def take(self, content: bytes, now: Seconds) -> None:
        """Parses what came; ends the request when the answer is whole."""
        if not self.payload:
            self.client.counts.stray += 1
            self.client.dropped(self)
            return
        client = self.client
        if self.size == 0:
            # An answer whose head was met before, byte for byte, is as long as that one was: no
            # need to parse it again.
            known = client.answers.get(content[: content.find(_END)])
            if known is not None and known[0] == len(content):
                self.size, self.status = known[0], known[1]
                client.finished(self, now, self.verdict(), not self._left)
                return
        self.size += len(content)
        try:
            self._parser.feed_data(content)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self.complete:
                other = spoken(content) if self.size == len(content) else ""
                why = other or f"{type(error).__name__}: {error}"
                self.fail(RequestOutcome.PROTOCOL, why, now)
                return
            self.keep = False
            client.counts.stray += 1
        if not self.complete:
            self._partial(content, now)
            return
        self.complete = False
        if self.size != len(content):
            self._note_gap(now)
        elif self.keep:
            client.learn(content, self.status)
        # Answered before all of it was sent: what is left would run into the next request.
        client.finished(self, now, self.verdict(), self.keep and not self._left)

    def verdict(self) -> int:
        """OK or STATUS, from the answer's status."""
        return OK if self.client.passes[self.endpoint][self.status] else STATUS

    def on_message_complete(self) -> None:
        """From the parser: a message has ended. Interim ones (100, 103) are not the answer."""
        status = self._parser.get_status_code()
        if status < 200 and status != 101:
            self._head = None
        elif self.complete:  # a second answer to one request
            self.keep = False
            self.client.counts.stray += 1
        else:
            self.complete, self.status, self.keep = True, status, self._parser.should_keep_alive()

    def _partial(self, content: bytes, now: Seconds) -> None:
        """More is to come: bounds what may, and notes how the body will end."""
        if self.size == len(content):
            self._note_first(content, now)
        if self._head is None:
            self._head = ResponseHead()
        if not self._head.feed(content):
            self.fail(RequestOutcome.TOO_LARGE, "headers beyond 64 KiB", now)
        elif self.size > MAX_BODY:
            self.fail(RequestOutcome.TOO_LARGE, "body beyond 256 MiB", now)

    def _note_first(self, content: bytes, now: Seconds) -> None:
        """The first piece of an answer that has more. While nothing counts yet it is acknowledged
        at once, to see whether the rest waits for that.
        """
        self.first, self.head_first = now, content.endswith(_END)
        wire = self.client.wire
        wire.read_head(content)
        if self.due < wire.settle and not self.orphan and self.client.address.is_internet:
            # Never later on: other clients delay it too, and what they meet is what is asked.
            self.sock.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_QUICKACK, 1)

    def _note_gap(self, now: Seconds) -> None:
        """An answer in pieces is whole. Several pieces that were read at once were one."""
        if now > self.first and not self.orphan:
            self.client.wire.came_apart(self.due, now - self.first, self.head_first)

    def ended(self, now: Seconds) -> None:
        """The peer closed: the answer's end if nothing else says where it ends, else a loss."""
        if not self.payload:
            self.client.dropped(self)
        elif self._head is not None and self._head.until_close:
            self.status = self._head.status
            self._note_gap(now)
            self.client.finished(self, now, self.verdict(), keep=False)
        elif self._is_stale():
            self.client.resend(self)
        else:
            self.fail(RequestOutcome.RESET, "closed before the answer was whole", now)

    def lost(self, error: OSError) -> None:
        """The socket failed."""
        if not self.payload:
            self.client.dropped(self)
        elif self._is_stale():
            self.client.resend(self)
        else:
            outcome = RequestOutcome.RESET if self.connected else RequestOutcome.CONNECT
            self.fail(outcome, f"{type(error).__name__}: {error.strerror or error}", monotonic())

    def _is_stale(self) -> bool:
        idle_before = self.sent - self.since
        return (
            self.served > 0
            and self.size == 0
            and idle_before > STALE
            and self.client.repeatable[self.endpoint]
        )

    def fail(self, outcome: RequestOutcome, why: str, now: Seconds) -> None:
        """Ends the request without an answer."""
        self.client.counts.note(why)
        self.client.finished(self, now, outcome, keep=False)

    def rest(self, now: Seconds) -> None:
        """Becomes idle."""
        self.payload = b""
        self._head = None
        self.orphan = False
        self.served += 1
        self.since = now

    def close(self) -> None:
        """Gives everything back at once: with the collector off, a cycle would stay for the whole
        trial.
        """
        if self._parser is None:
            return
        self._watch.stop()
        self._watch.close()
        if self._watch_write is not None:
            self._watch_write.stop()
            self._watch_write.close()
        self.sock.close()
        self._watch = self._watch_write = self._parser = self._recv = self._send = None
