"""A pipe that somebody reads: what a command prints goes where it would go in a shell's pipeline.

A command that is told that nobody reads (its output is /dev/null) may do other work than it does
for people: grep stops at the first match.
"""

from __future__ import annotations

import os
import threading

from perfhunt.model.units import Bytes, Seconds

_PIECE: Bytes = 1 << 20  # read at once: a pipe holds 64 KiB, or what somebody has set
_KEPT: Bytes = 1 << 12  # of its end, to say how a run failed
_REST: Seconds = 1.0  # of what is in the pipe when the command has ended


class DrainedPipe:
    """`writer` is the end for the command. Somebody whom it leaves running may hold it for longer:
    then it is read on, in a thread that ends with this process.
    """

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        self._end = b""
        self._thread = threading.Thread(target=self._drain, name="perfhunt-output", daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        room = memoryview(bytearray(_PIECE))  # one for all: to make one for each costs as much
        while size := os.readv(self._reader, [room]):
            self._end = (self._end + bytes(room[max(0, size - _KEPT) : size]))[-_KEPT:]
        os.close(self._reader)

    def started(self) -> None:
        """The command has its end; ours is closed, so that its last word ends the reading."""
        os.close(self.writer)

    def last_lines(self, most: int) -> list[str]:
        """What was printed last, once the command has ended; no line of it is blank."""
        self._thread.join(_REST)
        lines = [line for line in self._end.decode(errors="replace").splitlines() if line.strip()]
        return [line.strip() for line in lines[-most:]]
