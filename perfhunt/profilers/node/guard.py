"""Closes the inspector of a Node process when perfhunt is no more: a program of its own, begun
before the signal that opens the door.

    python -P -m perfhunt.profilers.node.guard PID

PID is that of the process in its own namespace. The guard says `ready`, then waits for its input to
end; each line before that end is a port that the door may be at, or says that it is closed already.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import closing, suppress

from perfhunt.errors import AttachFailed
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.node.inspector import (
    PORT,
    Inspector,
    InspectorError,
    is_open,
    session_url,
)
from perfhunt.target.proc.threads import own_pid

# The signal takes effect between two turns of the target's event loop: a door that has not opened
# by the first of these does not; one that is open is tried to be closed until the second.
_OPENS_WITHIN: Seconds = 10.0
_TRIES_FOR: Seconds = 60.0
_POLL: Seconds = 0.05
_WORD: Bytes = 16  # of what the two say to each other
_CLOSED = "closed"
# JavaScript for the target: what was put in is taken out with the door (door.js); without it, the
# end of its inspector, late enough that the answer still gets out.
_CLOSE = "globalThis.__perfhunt?.close() ?? setTimeout(() => process._debugEnd(), 20); 0"


class DoorGuard:
    """The guard of one process's door, until `dismiss`."""

    def __init__(self, pid: int) -> None:
        """Raises AttachFailed when it does not start: then no door is to be opened."""
        words = [sys.executable, "-P", "-m", "perfhunt.profilers.node.guard", str(own_pid(pid))]
        try:
            self._program = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise AttachFailed(f"the guard of Node's inspector did not start: {error}") from error
        assert self._program.stdout is not None
        with self._program.stdout as said:
            if not os.read(said.fileno(), _WORD):
                self._program.kill()
                raise AttachFailed("the guard of Node's inspector did not start")

    def moves(self, port: int) -> None:
        """The door may be at this port from now on. Raises OSError."""
        assert self._program.stdin is not None
        self._program.stdin.write(b"%d\n" % port)
        self._program.stdin.flush()

    def dismiss(self, closed: bool) -> None:
        """End it: at once where the door is `closed`, else it sees to that first. Idempotent."""
        line = self._program.stdin
        assert line is not None
        with suppress(OSError, ValueError):  # It has gone, or was dismissed before.
            if closed:
                line.write(f"{_CLOSED}\n".encode())
            line.close()
        self._program.wait()


def _close(pid: int, port: int) -> bool:
    """Whether the inspector that is open there is that of the process, and was told to end."""
    with suppress(InspectorError), closing(Inspector(session_url(port=port))) as inspector:
        if inspector.evaluate("process.pid") == pid:
            inspector.evaluate(_CLOSE)
            return True
    return False


def main(pid: int) -> None:
    """Wait for the end of the input, and close the door of that process if it is open."""
    os.write(sys.stdout.fileno(), b"ready\n")
    said = b"".join(iter(lambda: os.read(sys.stdin.fileno(), _WORD), b"")).decode().split()
    if _CLOSED in said:
        return
    ports, began = [*map(int, said), PORT], time.monotonic()
    while (passed := time.monotonic() - began) < _TRIES_FOR:
        doors = [port for port in ports if is_open(port=port)]
        if any(_close(pid, port) for port in doors) or (not doors and passed > _OPENS_WITHIN):
            return
        time.sleep(_POLL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
