"""The timer that wakes the pacer: on time, and at no cost when it is late."""

import time
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import Event

from perfhunt.load.child.timer import LoopTimer, Timer, TimerFd, best_timer

Fire = Callable[[], None]
LATE = 0.001  # s: a loop's own timer is right to a millisecond


@pytest.mark.parametrize("kind", [best_timer, LoopTimer])
def test_it_calls_when_its_time_has_come_and_not_before(kind: Callable[[Fire], Timer]) -> None:
    fired = Event()
    timer = kind(fired.set)
    due = time.monotonic() + 0.02
    timer.set(due)
    assert fired.wait(10)
    assert time.monotonic() >= due - LATE
    timer.cancel()


@pytest.mark.parametrize("kind", [best_timer, LoopTimer])
def test_a_cancelled_timer_does_not_call_though_its_time_has_come(
    kind: Callable[[Fire], Timer],
) -> None:
    fired, later = Event(), Event()
    timer, witness = kind(fired.set), kind(later.set)
    timer.set(time.monotonic() - 1.0)
    assert fired.wait(10)
    timer.cancel()
    fired.clear()
    witness.set(time.monotonic())
    assert later.wait(10)
    witness.cancel()
    assert not fired.is_set()


def test_when_it_is_late_it_calls_in_each_turn_of_the_loop_without_being_set_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each setting to a time gone by is an interrupt: on a virtual machine as dear as a request."""
    timer = best_timer(lambda: _late())
    if not isinstance(timer, TimerFd):
        pytest.skip("no timerfd here")
    sets, calls, began = 0, 0, time.monotonic()
    settime: Any = timer._settime

    def counted(*words: Any) -> int:
        nonlocal sets
        sets += 1
        return int(settime(*words))

    def _late() -> None:
        nonlocal calls
        calls += 1
        if calls < 100:
            timer.set(began + calls * 1e-6)  # what is due next is due already
        else:
            timer.cancel()

    monkeypatch.setattr(timer, "_settime", counted)
    timer.set(began)
    while calls < 100:
        gevent.sleep(0)
    assert sets <= 3  # the first, perhaps one that raced with its expiry, and the end
