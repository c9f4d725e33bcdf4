"""Every reason to stop load in one question: signals, the killswitch, the time allowed."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from perfhunt.model.units import Seconds, format_duration

_MANY = 1024  # signals read at once
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _never() -> str:
    return ""


class Watchdog:
    """Asked `stop()` ten times a second by whatever sends load, from any thread; the first reason
    it finds stays. A signal is heard although the main thread is held up and cannot take it.

    A first Ctrl-C asks for an orderly stop: load off, profilers detached, the run kept and marked.
    A second one raises KeyboardInterrupt where the program is; load and profilers then end with
    their pipes. Signals are taken only when entered in the main thread, and the former handlers are
    put back on leaving.
    """

    def __init__(
        self,
        killswitch: Callable[[], str] = _never,
        max_duration: Seconds = float("inf"),
        clock: Callable[[], Seconds] | None = None,
    ) -> None:
        """`killswitch` returns a sentence or ""; `clock` (monotonic seconds) is needed to hold
        `max_duration`.
        """
        self._killswitch = killswitch
        self._max_duration, self._clock = max_duration, clock
        self._started = clock() if clock else 0.0
        self._reason = ""
        self._signals = 0
        self._former: dict[signal.Signals, object] = {}
        # The interpreter itself writes the number of each signal there, whatever Python does.
        self._heard = self._wakes = self._former_wake = -1
        self._reading = threading.Lock()

    def __enter__(self) -> Watchdog:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                # Whoever starts us by nohup wants it ignored.
                if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                    continue
                self._former[number] = signal.signal(number, self._on_signal)
            self._heard, self._wakes = os.pipe()
            for end in (self._heard, self._wakes):
                os.set_blocking(end, False)
            self._former_wake = signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        return self

    def __exit__(self, *raised: object) -> None:
        for number, handler in self._former.items():
            # What `signal.signal` returned it takes back.
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._former.clear()
        if self._wakes < 0:
            return
        signal.set_wakeup_fd(self._former_wake)
        with self._reading:
            os.close(self._heard)
            os.close(self._wakes)
            self._heard = self._wakes = -1

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1 and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._note(number)

    def _note(self, number: int) -> None:
        if not self._reason:
            name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
            self._reason = f"stopped by {name}"

    def _listen(self) -> None:
        """Notes the signals that came, whether or not the main thread has taken them."""
        numbers = b""
        with self._reading, contextlib.suppress(BlockingIOError):  # nothing came
            numbers = os.read(self._heard, _MANY) if self._heard >= 0 else b""
        for number in numbers:
            if number in _SIGNALS:
                self._note(number)

    def stop(self) -> str:
        """Why load must stop now, as a sentence; "" to go on. Never raises, and never unsays a
        reason.
        """
        self._listen()
        # A signal may bring its reason at any moment, so an empty one is never written.
        if not self._reason and (pulled := self._killswitch()):
            self._reason = pulled
        if not self._reason and self._time_is_over():
            allowed = format_duration(self._max_duration)
            self._reason = f"safety.max_duration ({allowed}) is over"
        return self._reason

    def _time_is_over(self) -> bool:
        return self._clock is not None and self._clock() - self._started >= self._max_duration
