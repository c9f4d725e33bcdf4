"""A timer that wakes the gevent loop on time: a timerfd where the platform has one, else gevent's
own.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import gevent

from perfhunt.model.units import Seconds

_CLOCK_MONOTONIC = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE = 1
_READ = 1


class Timer(Protocol):
    """Calls back once at (or just after) each time it is set to."""

    def set(self, at: Seconds) -> None:
        """Fire at `at` on time.monotonic's clock; forgets what was set before. A time gone by fires
        at once.
        """

    def cancel(self) -> None:
        """Do not fire."""


class _Spec(ctypes.Structure):
    # struct itimerspec: interval, then value
    _fields_ = [
        ("every_s", ctypes.c_long),
        ("every_ns", ctypes.c_long),
        ("s", ctypes.c_long),
        ("ns", ctypes.c_long),
    ]


class TimerFd:
    """Linux timerfd_create(2) behind an io watcher: about 40 us late at the median, where
    gevent.sleep is 500 us.

    An expiry is never read, so the descriptor stays readable, and the loop calls back in each of
    its turns, until the timer is set to a time that is still to come, or cancelled.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._settime = libc.timerfd_settime
        self._settime.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        self._spec = _Spec()
        self._address = ctypes.addressof(self._spec)
        self._watcher = gevent.get_hub().loop.io(self._fd, _READ, priority=2)
        self._callback = callback
        self._at: Seconds = math.inf  # what it is set to
        self._watcher.start(callback)

    def set(self, at: Seconds) -> None:
        # It has expired and will call back anyway. To set it to a time gone by interrupts the
        # processor at once, which on a virtual machine takes as long as sending a request does: a
        # sender that was late stayed late, at half its speed.
        if self._at <= at <= time.monotonic():
            return
        self._at = at
        spec = self._spec
        seconds = int(at)
        spec.s = seconds
        # 0 s and 0 ns would disarm it
        spec.ns = max(1, int((at - seconds) * 1e9))
        # Takes back an expiry too.
        self._settime(self._fd, _ABSOLUTE, self._address, None)

    def cancel(self) -> None:
        self._at = math.inf
        self._spec.s = self._spec.ns = 0
        self._settime(self._fd, _ABSOLUTE, self._address, None)


class LoopTimer:
    """The event loop's own timer: right to a millisecond or so."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._loop: Any = gevent.get_hub().loop
        self._watcher: Any = None

    def set(self, at: Seconds) -> None:
        self.cancel()
        self._watcher = self._loop.timer(max(0.0, at - time.monotonic()))
        self._watcher.start(self._callback)

    def cancel(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None


def best_timer(callback: Callable[[], None]) -> Timer:
    """A TimerFd, or a LoopTimer where the kernel or the C library has none."""
    if sys.platform == "linux":
        try:
            return TimerFd(callback)
        except (OSError, AttributeError):
            pass
    return LoopTimer(callback)
