"""Which timers end a wait, and which of them were set at a rate."""

from __future__ import annotations

from itertools import accumulate
from random import Random
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


def no_types() -> Any:
    def named(_: str) -> Any:
        raise AttachFailed("this program describes no such type")

    return SimpleNamespace(structs=SimpleNamespace(named=named))


def timers(now: int = 0) -> GoTimers:
    memory: Any = SimpleNamespace()
    return GoTimers(memory, no_types(), clock=lambda: now)


def until(
    *ends: float, alone: bool = True, period: int = 0, of: int = 7, by: int = 1
) -> list[GoTimer]:
    return [GoTimer(when=round(end * MS), period=period, alone=alone, of=of, by=by) for end in ends]


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
    waits.ended([(PLACE, limit, False)] * 3)  # long before their time
    assert waits.wait(PLACE, limit, AT_CHANNELS) == AT_CHANNELS


def test_a_wait_that_its_timer_ends_is_for_that_whatever_might_have_come_before() -> None:
    (pause,) = until(20, alone=False)
    waits = timers(now=21 * MS)
    waits.ended([(PLACE, pause, False)])
    assert waits.wait(PLACE, pause, AT_CHANNELS) == Wait(ThreadState.SLEEP)


def one_at_a_time(*ends: float, of: int = 7, several: bool = True) -> list[list[GoTimer]]:
    """A look at each of those who wait one after the other."""
    return [until(end, of=of, by=n if several else 1) for n, end in enumerate(ends)]


TURNS = (10, 93, 176, 259, 420, 503, 586, 669)  # 83 ms apart, but for when nobody came


def test_limiters_of_many_keys_are_told_by_ends_that_follow_each_other_evenly() -> None:
    learning = learnt(*one_at_a_time(*TURNS, of=7), *one_at_a_time(*TURNS, of=8))
    wait = learning.wait(PLACE, until(700, of=8)[0], AT_CHANNELS)
    assert wait == Wait(ThreadState.LOCK, "futex:paced:0x8")


def test_one_that_sleeps_again_and_again_waits_for_nobody() -> None:
    learning = learnt(*one_at_a_time(*TURNS, several=False), *one_at_a_time(*TURNS, of=8)[:4])
    assert learning.wait(PLACE, until(700)[0], AT_CHANNELS) == Wait(ThreadState.SLEEP)


def test_sleeps_of_requests_that_come_by_chance_are_no_turns() -> None:
    chance = Random(8)
    ends = accumulate(chance.expovariate(1 / 30) for _ in range(2000))
    learning = learnt(*one_at_a_time(*ends))
    assert learning.wait(PLACE, until(1e9)[0], AT_CHANNELS) == Wait(ThreadState.SLEEP)


def of_lengths(*lengths: float, again: bool = False, evenly: bool = False) -> Wait:
    """What a wait is for where the latest were set, between looks 25 ms apart, to last so long."""
    now = 0
    memory: Any = SimpleNamespace()
    learning = GoTimers(memory, no_types(), clock=lambda: now)
    for n, length in enumerate(lengths):
        begun, now = now + 20 * MS, now + 25 * MS
        timer = until((begun + length * MS) / MS, of=n)[0]
        learning.began([(PLACE, timer)])
        learning.ended([(PLACE, timer, again)])
    if evenly:
        for n in range(LOOKS):
            learning.saw((PLACE, timer) for timer in until(10 + n, 30 + n, 20 + n, 40 + n))
    return learning.wait(PLACE, until(1e9)[0], AT_CHANNELS)


RESERVED = (30, 170, 35, 160, 90, 33, 150, 100)


def test_those_that_sleep_once_each_and_not_as_long_have_turns() -> None:
    assert of_lengths(*RESERVED, again=False) == Wait(ThreadState.LOCK, "futex:paced:0x7")


def test_those_that_ask_again_and_again_or_sleep_as_long_each_time_do_not() -> None:
    assert of_lengths(*RESERVED, again=True) == Wait(ThreadState.SLEEP)
    assert of_lengths(*[40.0] * 20, again=False) == Wait(ThreadState.SLEEP)


def test_sleeps_of_one_length_end_evenly_where_load_comes_evenly() -> None:
    assert of_lengths(*[40.0] * 20, evenly=True) == Wait(ThreadState.SLEEP)
    assert of_lengths(*RESERVED, evenly=True).state is ThreadState.LOCK
