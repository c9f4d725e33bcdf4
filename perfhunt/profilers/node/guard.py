"""Closes the inspector of a Node process when perfhunt is no more: a program of its own, begun
before the signal that opens the door.

    python -P -m perfhunt.profilers.node.guard PID

PID is that of the process in its own namespace. The guard says `ready`, then waits for its input to
end; a line before that end means that the door is closed already.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing, suppress

from perfhunt.errors import AttachFailed
from perfhunt.model.units import Seconds
from perfhunt.profilers.node.inspector import Inspector, InspectorError, is_open, session_url
from perfhunt.target.proc.threads import own_pid

_TRIES_FOR: Seconds = 5.0  # the signal takes effect between two turns of the target's event loop
_POLL: Seconds = 0.05
# JavaScript for the target: the end of its inspector, late enough that the answer still gets out.
_CLOSE = "setTimeout(() => process._debugEnd(), 20); 0"


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
            if not said.readline():
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


def _closes(pid: int) -> bool:
    """Whether the inspector that is open, if one is, is that of the process, and was told to end."""
    if not is_open():
        return False
    with suppress(InspectorError), closing(Inspector(session_url())) as inspector:
        if inspector.evaluate("process.pid") == pid:
            inspector.evaluate(_CLOSE)
            return True
    return False


def main(pid: int) -> None:
    """Wait for the end of the input, and close the door of that process if it is open."""
    print("ready", flush=True)
    if sys.stdin.read():
        return
    until = time.monotonic() + _TRIES_FOR
    while not _closes(pid) and time.monotonic() < until:
        time.sleep(_POLL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
