"""One connection between a master and a worker: messages both ways, bounded in size and number. Who
breaks a rule loses this connection, and nobody else loses anything.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any, Generic

import gevent
from gevent.queue import Full, Queue

from perfhunt.load.child.fleet.proving import hang_up
from perfhunt.load.messages import Decoder, M, MalformedMessage, Message, PipeReader, frame
from perfhunt.model.units import PerSecond

_READ_SIZE = 1 << 16  # bytes
# Messages that the other end has not taken: at the five heartbeats a second it is long given up.
_UNTAKEN = 500
# Messages taken: in a trial there are six a second. A process that was stopped for long finds what
# came meanwhile all at once.
_OFTEN: PerSecond = 100.0
_AT_ONCE = 1000


class Channel(Generic[M]):
    """Sends without ever waiting for the other end; `messages` reads."""

    def __init__(self, connection: Any, decoder: Decoder[M]) -> None:
        self._connection = connection
        self._reader: PipeReader[M] = PipeReader(decoder)
        self._untaken: Queue[bytes] = Queue(_UNTAKEN)
        self._room, self._counted = float(_AT_ONCE), time.monotonic()
        self._writing = False
        gevent.spawn(self._write)

    def send(self, message: Message) -> None:
        """Gives the message to be sent. An end that takes nothing is hung up on."""
        try:
            self._untaken.put_nowait(frame(message))
        except Full:
            self.close()

    def beat(self, message: Message) -> None:
        """Gives a sign of life, and what waits before it, from a greenlet that has nothing else to
        do. At once, unless something is being sent: to be woken for it the writer would queue
        behind all that a loop that is behind has to do.
        """
        self.send(message)
        while not self._writing and self._untaken.qsize():
            self._write_one(self._untaken.get_nowait())

    def _write(self) -> None:
        while True:
            self._write_one(self._untaken.get())

    def _write_one(self, content: bytes) -> None:
        self._writing = True
        try:
            self._connection.sendall(content)
        except (OSError, ValueError):  # it was closed meanwhile
            self.close()
        finally:
            self._writing = False

    def messages(self) -> Iterator[M]:
        """What the other end says, until one of both hangs up. Raises MalformedMessage, and closes
        the connection, when it says what it may not.
        """
        try:
            while content := self._read():
                for message in self._reader.feed(content):
                    self._count()
                    yield message
        finally:
            self.close()
            self._connection.close()

    def _read(self) -> bytes:
        with contextlib.suppress(OSError, ValueError):
            content: bytes = self._connection.recv(_READ_SIZE)
            return content
        return b""

    def _count(self) -> None:
        """A bucket of messages that fills again with time."""
        now = time.monotonic()
        self._room = min(_AT_ONCE, self._room + (now - self._counted) * _OFTEN) - 1
        self._counted = now
        if self._room < 0:
            raise MalformedMessage(f"more than {_OFTEN:g} messages a second came")

    def close(self) -> None:
        """Hangs up. May be called twice."""
        hang_up(self._connection)
