"""What a sentinel hears the one above by: beats on a descriptor of their own, or a connection that
the event loop reads. Neither needs the loop, which a client in C may hold up.
"""

from __future__ import annotations

import os
import struct
from fcntl import ioctl

# The system's own, since this is imported before gevent puts its own in their place.
from select import POLLRDHUP, poll, select
from termios import FIONREAD
from time import sleep
from typing import Protocol

from perfhunt.load.lifeline import ALIVE
from perfhunt.model.units import Seconds

_READ_SIZE = 4096  # bytes: more beats than come in minutes
# The loop reads of a hang-up too, and may have something to say before it leaves.
_LEAVES_WITHIN: Seconds = 0.5
_COUNT = struct.Struct("i")  # of bytes, as ioctl(2) gives it
_MILLISECONDS = 1e3  # in a second


class Line(Protocol):
    """Brings signs of life."""

    def said(self, within: Seconds) -> bytes:
        """What was said (ALIVE, STOP); nothing when it is silent for so long. Raises EOFError when
        the other end has let go, or died.
        """


class BeatLine:
    """The descriptor that a `Lifeline` beats on."""

    def __init__(self, beats: int) -> None:
        os.set_inheritable(beats, False)
        self._beats = beats

    def said(self, within: Seconds) -> bytes:
        """See Line."""
        if not select([self._beats], [], [], within)[0]:
            return b""
        said = os.read(self._beats, _READ_SIZE)
        if not said:
            raise EOFError
        return said


class MasterLine:
    """A connection on which a master speaks several times a second. It is never read here: what the
    loop has taken of it, and what waits there unread, tells that more has come.
    """

    def __init__(self, connection: int) -> None:
        """`connection` is the descriptor of a socket that the loop reads."""
        self._connection = os.dup(connection)  # that number may be another's when it is closed
        os.set_inheritable(self._connection, False)
        self._gone = poll()
        self._gone.register(self._connection, POLLRDHUP)
        self._taken = 0
        self._came = (0, 0)

    def taken(self) -> None:
        """The loop has taken a word."""
        self._taken += 1

    def said(self, within: Seconds) -> bytes:
        """See Line."""
        if self._gone.poll(within * _MILLISECONDS):
            sleep(_LEAVES_WITHIN)
            raise EOFError
        (unread,) = _COUNT.unpack(ioctl(self._connection, FIONREAD, bytes(_COUNT.size)))
        before, self._came = self._came, (self._taken, unread)
        return b"" if self._came == before else ALIVE
