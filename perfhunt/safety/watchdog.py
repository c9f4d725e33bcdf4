"""Every reason to stop load in one question: signals, the killswitch, the death of the target, the
time allowed.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

from perfhunt.errors import Stopped, TargetDied
from perfhunt.model.units import Seconds, format_duration

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _never() -> str:
    return ""


class Watchdog:
    """Asked `stop()` ten times a second by whatever sends load; the first reason it finds stays.

    A first Ctrl-C asks for an orderly stop: load off, profilers detached, the run kept and marked.
    A second one raises KeyboardInterrupt where the program is; load and profilers then end with
    their pipes. Signals are taken only when entered in the main thread, and the former handlers are
    put back on leaving.
    """

    def __init__(
        self,
        killswitch: Callable[[], str] = _never,
        death: Callable[[], str] = _never,
        max_duration: Seconds = float("inf"),
        clock: Callable[[], Seconds] | None = None,
    ) -> None:
        """`killswitch` and `death` return a sentence or ""; `clock` (monotonic seconds) is needed
        to hold `max_duration`.
        """
        self._killswitch, self._death = killswitch, death
        self._max_duration, self._clock = max_duration, clock
        self._started = clock() if clock else 0.0
        self._reason = ""
        self._died = False
        self._signals = 0
        self._former: dict[signal.Signals, object] = {}

    def __enter__(self) -> Watchdog:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._former[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._former.items():
            # What `signal.signal` returned it takes back.
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._former.clear()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1 and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self._reason:
            name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
            self._reason = f"stopped by {name}"

    def stop(self) -> str:
        """Why load must stop now, as a sentence; "" to go on. Never raises, and never unsays a
        reason.
        """
        # A signal may bring its reason at any moment, so an empty one is never written.
        if not self._reason and (pulled := self._killswitch()):
            self._reason = pulled
        if not self._reason and (death := self._death()):
            self._reason, self._died = death, True
        if not self._reason and self._time_is_over():
            allowed = format_duration(self._max_duration)
            self._reason = f"safety.max_duration ({allowed}) is over"
        return self._reason

    def _time_is_over(self) -> bool:
        return self._clock is not None and self._clock() - self._started >= self._max_duration

    def check(self) -> None:
        """Raises TargetDied (exit 96) or Stopped (exit 105) when there is a reason to stop."""
        reason = self.stop()
        if self._died:
            raise TargetDied(
                reason, "Look at its log for the reason; a kill by the kernel is in: dmesg | tail"
            )
        if reason:
            raise Stopped(reason, "What was measured so far is kept: perfhunt open")
