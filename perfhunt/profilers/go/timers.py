"""Waits of goroutines that a timer ends, and which of them are let go at a rate: those whose ends,
set when they began, are evenly spaced, as a token bucket sets them, at one moment or one after the
other; or those that wait once each, for longer or shorter.
"""

from __future__ import annotations

import struct
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, pstdev

from perfhunt.analysis.blame.snapshots import PACED
from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Stack
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Share
from perfhunt.profilers.go.goroutines import Goroutine, Goroutines, offset
from perfhunt.target.proc.memory import WORD, ProcessMemory
from perfhunt.target.proc.waits import Wait

_LEAST = 4  # ends at once, between which there are gaps to compare
# Standard deviation of these gaps over their mean: 0 where a rate sets them, 1 where requests that
# come by chance do.
_EVEN: Share = 0.25
# Of two gaps between the ends of three that waited for one object in succession, by how much they
# may differ to be the same: those of requests that come by chance are so once in a hundred times.
_SAME: Share = 0.02
_IN_TURN: Share = 0.15  # of such pairs of gaps, those that are the same where a rate sets them
_LENGTHS = 32  # of the latest waits at a place
_LEAST_LENGTHS = 8  # of them, to tell whether they differ
# Times the shortest quarter of them that the longest quarter lasts, to differ.
_LONGER = 1.25
_LASTS: Share = 0.25  # of the time between two looks, what all of them must last to be known
_TRIES = 8  # at goroutines of a place, before they have no timer on their stacks
_LEAST_ADDRESS = 1 << 16  # below it nothing is mapped (vm.mmap_min_addr)
_SURE = 4  # looks by which even ends outnumber the others: a few are even by chance
_MOST_PLACES = 20_000  # in the code, and objects waited for, that are remembered


@dataclass(frozen=True, slots=True)
class GoTimer:
    """A timer that a goroutine waits for: its end and, of one that repeats, its period, in ns of
    the monotonic clock. `alone`: nothing else ends the wait. `of`: what sets it for several, the
    object in whose method they wait, or the channel that they share (0: not known). `by`: the
    number of the goroutine.
    """

    when: int
    period: int
    alone: bool
    of: int
    by: int = 0


@dataclass(slots=True)
class _LastEnd:
    """The latest end of a wait for one object, whose it is, and the time to it from another's."""

    when: int = 0
    by: int = 0
    gap: int = 0


class GoTimers:
    """Reads the timers of one process, and learns from them how waits end at each place: the last
    frames of a stack.
    """

    def __init__(
        self,
        memory: ProcessMemory,
        goroutines: Goroutines,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._memory, self._clock = memory, clock
        self._ends: Counter[tuple[Stack, bool]] = Counter()  # by whether the timer ended it
        self._even: Counter[tuple[Stack, bool]] = Counter()
        self._in_turn: Counter[tuple[Stack, bool]] = Counter()  # by whether two gaps are the same
        self._last: dict[tuple[Stack, int], _LastEnd] = {}
        # By place: how long the latest waits were set to last, at least and at most, in ns; how
        # often the same goroutine waited there again at once; and whether those are turns.
        self._lengths: dict[Stack, deque[tuple[int, int]]] = {}
        self._again: Counter[tuple[Stack, bool]] = Counter()
        self._turns: dict[Stack, bool] = {}
        self._looked = clock()
        self._goroutines = goroutines
        self._of_sleep = self._of_channel = self._in_object = 0
        # By place: at how many goroutines it was looked for, and the word of the stack that has it.
        self._slots: dict[Stack, tuple[int, int]] = {}
        with suppress(AttachFailed):
            structs, record = goroutines.structs, goroutines.structs.named("runtime.g")
            self._of_sleep = offset(record, "timer")
            timer = structs.of(record.fields["timer"][1])
            self._when, self._period = offset(timer, "when"), offset(timer, "period")
            self._sends_to = offset(timer, "arg") + WORD  # after its type
            with suppress(AttachFailed):
                self._in_object = offset(structs.named("time.Timer"), "r")
            # Since 1.23; the timers of modules that ask for an older Go are still apart.
            self._of_channel = offset(structs.named("runtime.hchan"), "timer")
            self._in_object = offset(structs.named("runtime.timeTimer"), "timer")

    def of_sleep(self, each: Goroutine, of: int) -> GoTimer | None:
        """The timer of a goroutine that sleeps; None where this Go does not say."""
        at = self._memory.word(each.address + self._of_sleep) if self._of_sleep else 0
        return self._timer(each, at, True, of) if at else None

    def of_channels(
        self, each: Goroutine, place: Stack, channels: Sequence[int], of: int
    ) -> GoTimer | None:
        """The timer that sends to one of the channels that a goroutine waits for."""
        for channel in channels if self._of_channel else ():
            if timer := self._memory.word(channel + self._of_channel):
                alone = len(channels) == 1
                return self._timer(each, timer, alone, channel if alone else of)
        if not self._in_object or not channels:
            return None
        if not (found := self._on_stack(each, place, channels)):
            return None
        return self._timer(each, found + self._in_object, len(channels) == 1, of)

    def _on_stack(self, each: Goroutine, place: Stack, channels: Sequence[int]) -> int:
        """The timer or ticker on its stack that sends to one of them: it begins with its channel,
        and gives that to what it calls. 0: there is none.
        """
        tried, slot = self._slots.get(place, (0, -1))
        if slot < 0 and tried >= _TRIES:
            return 0
        words = self._goroutines.words_of(each)
        if 0 <= slot < len(words) and self._is_one(words[slot], channels):
            return words[slot]
        if tried >= _TRIES:
            return 0
        likely = [n for n, word in enumerate(words) if word >= _LEAST_ADDRESS and not word % WORD]
        raw = self._memory.together([(words[n], WORD) for n in likely])
        begins = struct.unpack(f"<{len(likely)}Q", raw)
        first = [n for n, at in zip(likely, begins, strict=True) if at in channels]
        slot = next((n for n in first if self._is_one(words[n], channels)), -1)
        self._slots[place] = tried + 1, slot
        return words[slot] if slot >= 0 else 0

    def _is_one(self, at: int, channels: Sequence[int]) -> bool:
        channel = self._memory.word(at)
        given = self._memory.word(at + self._in_object + self._sends_to)
        return channel in channels and given == channel

    def _timer(self, each: Goroutine, at: int, alone: bool, of: int) -> GoTimer | None:
        when, period = self._memory.word(at + self._when), self._memory.word(at + self._period)
        if not when:
            return None
        return GoTimer(when=when, period=period, alone=alone, of=of, by=each.number)

    def ended(self, waits: Iterable[tuple[Stack, GoTimer, bool]]) -> None:
        """Learn from waits that are over, and whether who waited there does so again."""
        now = self._clock()
        if len(self._ends) > _MOST_PLACES:
            self._ends.clear()
            self._again.clear()
        for at, timer, again in waits:
            self._again[at, again] += 1
            if not timer.alone:
                self._ends[at, now >= timer.when] += 1

    def began(self, waits: Iterable[tuple[Stack, GoTimer]]) -> None:
        """Learn from waits that were not there at the look before, whose time was set since."""
        before, self._looked = self._looked, self._clock()
        if len(self._lengths) > _MOST_PLACES:
            self._lengths.clear()
        for at, timer in waits:
            if not timer.period and timer.when > self._looked:
                lengths = self._lengths.setdefault(at, deque(maxlen=_LENGTHS))
                lengths.append((timer.when - self._looked, timer.when - before))
        self._turns.clear()

    def saw(self, waits: Iterable[tuple[Stack, GoTimer]]) -> None:
        """Learn from those that are there at one moment."""
        together: dict[tuple[Stack, int], list[GoTimer]] = {}
        for at, timer in waits:
            together.setdefault((at, timer.of), []).append(timer)
        if len(self._even) > _MOST_PLACES:
            self._even.clear()
        if len(self._last) > _MOST_PLACES:
            self._last.clear()
        for (at, of), timers in together.items():
            if all(each.period for each in timers):  # Each tick lets one of them go.
                if len(timers) > 1:
                    self._even[at, True] += 1
                continue
            self._follow(at, of, timers)
            if len(timers) >= _LEAST:
                self._even[at, _is_even([each.when for each in timers])] += 1

    def _follow(self, at: Stack, of: int, timers: Iterable[GoTimer]) -> None:
        """Learn from the ends that come one after the other where few wait at once, as for one of
        many limiters. One goroutine that waits again and again sets them evenly for itself.
        """
        last = self._last.setdefault((at, of), _LastEnd())
        for timer in sorted(timers, key=lambda each: each.when):
            if timer.when <= last.when:
                continue
            gap = timer.when - last.when if last.when and timer.by != last.by else 0
            if gap and last.gap:
                same = abs(gap - last.gap) <= _SAME * max(gap, last.gap)
                self._in_turn[at, same] += 1
            last.when, last.by, last.gap = timer.when, timer.by, gap

    def wait(self, at: Stack, timer: GoTimer, else_: Wait) -> Wait:
        """What a wait is for that may be ended by a timer; `else_` where it is by something
        else.
        """
        if not timer.alone and self._ends[at, True] <= self._ends[at, False]:
            return else_
        if at not in self._turns:
            evenly = self._ends_evenly(at) or self._is_in_turn(at)
            self._turns[at] = (evenly and not self._last_alike(at)) or self._differ(at)
        if not self._turns[at]:
            return Wait(ThreadState.SLEEP)
        return Wait(ThreadState.LOCK, f"{PACED}{hex(timer.of) if timer.of else at[0].function}")

    def _ends_evenly(self, at: Stack) -> bool:
        return self._even[at, True] >= self._even[at, False] + _SURE

    def _is_in_turn(self, at: Stack) -> bool:
        same, other = self._in_turn[at, True], self._in_turn[at, False]
        return same >= _SURE and same >= _IN_TURN * (same + other)

    def _last_alike(self, at: Stack) -> bool:
        """Whether all may have been set to last as long: where load comes evenly spaced, sleeps of
        one length end as evenly. Of those shorter than the time between two looks nobody knows.
        """
        lengths = self._lengths.get(at, ())
        if len(lengths) < _LEAST_LENGTHS:
            return False
        shortest, longest = min(most for _, most in lengths), max(least for least, _ in lengths)
        unknown = max(most - least for least, most in lengths)
        return longest <= shortest and min(least for least, _ in lengths) > _LASTS * unknown

    def _differ(self, at: Stack) -> bool:
        """Whether each waits once, for a time of its own: who asks again and again for what is not
        free sleeps several times, and who sleeps by its own wish for as long each time.
        """
        lengths = self._lengths.get(at, ())
        if len(lengths) < _LEAST_LENGTHS or self._again[at, True] >= self._again[at, False]:
            return False
        quarter = len(lengths) // 4
        long = sorted(least for least, _ in lengths)[-1 - quarter]
        return long > _LONGER * sorted(most for _, most in lengths)[quarter]


def _is_even(ends: Sequence[int]) -> bool:
    gaps = [later - earlier for earlier, later in pairwise(sorted(ends))]
    return pstdev(gaps) <= _EVEN * mean(gaps)
