"""Standard output and standard error of which only the text can be lost: a reader that has gone, a
full disk, a terminal that takes no more neither fail the verb nor decide its exit code.
"""

from __future__ import annotations

import io
import math
import os
import select
import time
from typing import Any, TextIO

from perfhunt.model.units import Seconds

# Bytes at a time: what a pipe that has room at all takes whole (PIPE_BUF, pipe(7)).
_PIECE = 4096
_LOOK: Seconds = 0.1  # between two looks at whether there is still patience
# With whoever does not read, once a run was stopped: what was to be said is in the run as well.
SHORT_PATIENCE: Seconds = 2.0


class Outlet(io.FileIO):
    """A stream to a descriptor. `lost` says why nothing is written any more, or "". It waits for a
    reader as long as it has `patience`.
    """

    def __init__(self, stream: TextIO) -> None:
        """To where `stream` goes, which stays open."""
        super().__init__(_unblocked(stream.fileno()), "wb", closefd=False)
        self._stream = stream
        self.lost = ""
        self.patience: Seconds = math.inf

    def write(self, content: Any, /) -> int:
        """Takes all of it, always."""
        view = memoryview(content).cast("B")
        size = len(view)
        while len(view) and not self.lost:
            try:
                if not self._has_room():
                    self.lost = "whoever reads it stopped reading"
                    break
                view = view[os.write(self.fileno(), view[:_PIECE]) :]
            except BlockingIOError:  # another process made it so; there was room for less
                time.sleep(_LOOK)
            except OSError as error:
                self.lost = error.strerror or str(error)
        return size

    def _has_room(self) -> bool:
        poll, since = select.poll(), time.monotonic()
        poll.register(self.fileno(), select.POLLOUT)
        while not poll.poll(_LOOK * 1e3):
            if time.monotonic() - since > self.patience:
                return False
        return True


def _unblocked(descriptor: int) -> int:
    """A terminal that was told to wait (Ctrl-S) in the middle of a piece would hold us up, so it is
    opened anew for us alone; whatever else it is, is left as it is.
    """
    if not os.isatty(descriptor):
        return descriptor
    try:
        again = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return descriptor
    return again


_OUTLETS: list[Outlet] = []


def through_outlet(stream: TextIO) -> TextIO:
    """The same stream, by way of an Outlet. One that is no file (a test's) is given back."""
    try:
        outlet = Outlet(stream)
    except io.UnsupportedOperation:
        return stream
    _OUTLETS.append(outlet)
    return io.TextIOWrapper(
        io.BufferedWriter(outlet),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.isatty() or bool(getattr(stream, "line_buffering", False)),
    )


def hurry() -> None:
    """From now on whoever does not read is not waited for."""
    for outlet in _OUTLETS:
        outlet.patience = SHORT_PATIENCE


def lost() -> str:
    """Why text was lost, or ""."""
    return next((outlet.lost for outlet in _OUTLETS if outlet.lost), "")
