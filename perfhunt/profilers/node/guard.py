"""Closes the inspector of a Node process when perfhunt is no more: a program of its own, begun
before the signal that opens the door.

    python -P -m perfhunt.profilers.node.guard PID

PID is that of the process in its own namespace. The guard says `ready`, then waits for its input to
end; a line before that end means that the door is closed already.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import closing, suppress

from perfhunt.errors import AttachFailed
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.node.inspector import Inspector, InspectorError, is_open, session_url
from perfhunt.target.proc.threads import own_pid

# The signal takes effect between two turns of the target's event loop: a door that has not opened
# by the first of these does not; one that is open is tried to be closed until the second.
_OPENS_WITHIN: Seconds = 10.0
_TRIES_FOR: Seconds = 60.0
_POLL: Seconds = 0.05
_TURN: Seconds = 0.3  # of the target's event loop, until it is told again
_WORD: Bytes = 16  # of what the two say to each other
# JavaScript for the target: the end of its inspector, once the answer is on its way.
_CLOSE = "setImmediate(() => process._debugEnd()); 0"


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

    def dismiss(self, closed: bool) -> None:
        """End it: at once where the door is `closed`, else it sees to that first. Idempotent."""
        line = self._program.stdin
        assert line is not None
        with suppress(OSError, ValueError):  # It has gone, or was dismissed before.
            if closed:
                line.write(b"closed\n")
            line.close()
        self._program.wait()


def _close(pid: int) -> bool:
    """Whether the inspector that is open is that of the process, and was told to end."""
    with suppress(InspectorError), closing(Inspector(session_url())) as inspector:
        if inspector.evaluate("process.pid") == pid:
            inspector.evaluate(_CLOSE)
            return True
    return False


def main(pid: int) -> None:
    """Wait for the end of the input, and close the door of that process if it is open."""
    os.write(sys.stdout.fileno(), b"ready\n")  # at once: who reads does not read on
    if os.read(sys.stdin.fileno(), _WORD):
        return
    began, told = time.monotonic(), False
    while (passed := time.monotonic() - began) < _TRIES_FOR:
        if is_open():
            told = _close(pid) or told
            time.sleep(_TURN)
        elif told or passed > _OPENS_WITHIN:
            return
        else:
            time.sleep(_POLL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
