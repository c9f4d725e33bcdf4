"""Which timers end a wait, and which of them were set at a rate."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Frame
from perfhunt.model.states import ThreadState
from perfhunt.profilers.go.timers import GoTimer, GoTimers
from perfhunt.target.proc.waits import Wait

PLACE = (Frame("main.limit", "/srv/main.go", 8), Frame("runtime.selectgo", "", 1))
AT_CHANNELS = Wait(ThreadState.LOCK, "futex:channel:0x1+0x2")
MS = 1_000_000  # ns
LOOKS = 8


def timers(now: int = 0) -> GoTimers:
    def named(_: str) -> Any:
        raise AttachFailed("this program describes no such type")

    memory: Any = SimpleNamespace()
    goroutines: Any = SimpleNamespace(structs=SimpleNamespace(named=named))
    return GoTimers(memory, goroutines, clock=lambda: now)


def until(*ends: float, alone: bool = True, period: int = 0, of: int = 7) -> list[GoTimer]:
    return [GoTimer(round(end * MS), period, alone, of) for end in ends]


def learnt(*looks: list[GoTimer], now: int = 0) -> GoTimers:
    learning = timers(now)
    for look in looks:
        learning.saw((PLACE, timer) for timer in look)
    return learning


def test_ends_that_are_evenly_spaced_are_turns() -> None:
    look = until(10, 30, 20, 50, 40)
    wait = learnt(*[look] * LOOKS).wait(PLACE, look[0], AT_CHANNELS)
    assert wait == Wait(ThreadState.LOCK, "futex:paced:0x7")


def test_ends_of_sleeps_begun_by_chance_are_none() -> None:
    look = until(10, 11, 30, 32, 70)
    wait = learnt(*[look] * LOOKS).wait(PLACE, look[0], AT_CHANNELS)
    assert wait == Wait(ThreadState.SLEEP)


def test_several_that_wait_for_the_ticks_of_one_timer_get_turns_and_a_single_one_sleeps() -> None:
    several, one = until(10, 10, period=10 * MS), until(10, period=10 * MS)
    assert learnt(*[several] * LOOKS).wait(PLACE, several[0], AT_CHANNELS).on
    assert learnt(*[one] * LOOKS).wait(PLACE, one[0], AT_CHANNELS) == Wait(ThreadState.SLEEP)


def test_a_limit_of_time_beside_an_answer_is_not_what_is_waited_for() -> None:
    (limit,) = until(5000, alone=False)
    waits = timers(now=20 * MS)
    assert waits.wait(PLACE, limit, AT_CHANNELS) == AT_CHANNELS
    waits.ended([(PLACE, limit)] * 3)  # long before their time
    assert waits.wait(PLACE, limit, AT_CHANNELS) == AT_CHANNELS


def test_a_wait_that_its_timer_ends_is_for_that_whatever_might_have_come_before() -> None:
    (pause,) = until(20, alone=False)
    waits = timers(now=21 * MS)
    waits.ended([(PLACE, pause)])
    assert waits.wait(PLACE, pause, AT_CHANNELS) == Wait(ThreadState.SLEEP)
