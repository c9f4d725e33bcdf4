"""The lifeline from the controller to its load child: a beat ten times a second while somebody
listens for stops, and a word that ends the load at once.

Beats come from the thread that asks for reasons to stop, after it has asked, and from nowhere else.
So a controller that is dead, stopped or deaf has no load (`load.child.bounds.sentinel` is the other
end), and whatever holds up its main thread (a terminal, a pipe, a disk) holds up no stop.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from perfhunt.model.units import Seconds

BEAT: Seconds = 0.1
# Without a beat for so long, and the load is ended; if it then does not end within OBEYED_WITHIN
# the child ends itself. Together with a beat that was just missed that is a second.
SILENCE: Seconds = 0.7
OBEYED_WITHIN: Seconds = 0.15
ALIVE, STOP = b".", b"!"  # what is said
ENDED_ITSELF = (
    75  # exit code of a child whose load did not end otherwise; EX_TEMPFAIL of sysexits.h
)
STARVED = 69  # the same, where the controller got no CPU and otherwise was well; EX_UNAVAILABLE
_LEAVES_WITHIN: Seconds = 1.0  # a thread that asks a stop signal which does not answer is left


class Lifeline:
    """The controller's end. A stop signal that raises or hangs counts as silence."""

    def __init__(self) -> None:
        """`far_end` is the descriptor for the child to inherit."""
        self.far_end, self._near_end = os.pipe()
        os.set_blocking(self._near_end, False)  # a child that does not read holds nobody up
        self._stop: Callable[[], str] | None = None
        self._reason = ""
        self._lock = threading.Lock()
        self._turn, self._asked = threading.Event(), threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._listen, name="lifeline", daemon=True)

    def start(self) -> None:
        """The child has its end: begins to beat."""
        os.close(self.far_end)
        self._thread.start()

    def listen(self, stop: Callable[[], str] | None) -> None:
        """From now on `stop` is asked, and what an earlier one said is forgotten. Returns when it
        was asked once, so that no load begins unheard.
        """
        with self._lock:
            self._stop, self._reason = stop, ""
            self._asked.clear()
        self._turn.set()
        self._asked.wait(SILENCE)

    @property
    def reason(self) -> str:
        """Why load must stop, as `stop` said; "" while it may go on."""
        return self._reason

    def _listen(self) -> None:
        told: object = None
        while not self._closed:
            stop, reason = self._ask()
            if not reason:
                self._say(ALIVE)
            elif told is not stop:  # after a stop there is silence: nothing is to go on
                self._say(STOP)
                told = stop
            with self._lock:
                if stop is self._stop:
                    self._asked.set()
            self._turn.wait(BEAT)
            self._turn.clear()

    def _ask(self) -> tuple[Callable[[], str] | None, str]:
        """The stop signal and its reason, which stays once it was given."""
        stop, reason = self._stop, self._reason
        reason = reason or (stop() if stop is not None else "")
        with self._lock:
            if stop is self._stop:
                self._reason = reason
        return stop, reason

    def _say(self, word: bytes) -> None:
        try:
            os.write(self._near_end, word)
        except BlockingIOError:
            pass  # it has not read for a long time, and finds enough to read
        except OSError:
            self._closed = True  # the child is gone

    def close(self) -> None:
        """Lets go: the child finds the end of the line, and leaves. May be called twice."""
        self._closed = True
        self._turn.set()
        if self._near_end < 0:
            return
        if self._thread.is_alive():
            self._thread.join(_LEAVES_WITHIN)
        os.close(self._near_end)
        self._near_end = -1
