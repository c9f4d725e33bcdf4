"""Goroutines that come by at every tick of a timer and put into a channel what others wait for: a
token bucket made by hand. Nobody has what is waited for; the next tick brings it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import islice

from perfhunt.model.units import Bytes
from perfhunt.profilers.go.goroutines import Goroutine, Goroutines
from perfhunt.profilers.go.timers import GoTimer
from perfhunt.target.proc.memory import WORD, ProcessMemory

# Between ticks, in ns: who tends a pool comes by once in seconds.
_LONGEST_PERIOD = 200_000_000
_CODE: Bytes = 4096  # read of a function
_OBJECT: Bytes = 128  # read of what a stack refers to
_MOST_TRIED = 8  # pairs of a ticking goroutine and a channel, at one look
_RELATIVE = struct.Struct("<i")  # of an operand, to where its instruction ends (amd64)
_RUNTIME = "runtime."


class GoGivers:
    """Finds them in one process."""

    def __init__(self, memory: ProcessMemory, goroutines: Goroutines) -> None:
        self._memory, self._goroutines = memory, goroutines
        self._reaches: dict[tuple[int, int], bool] = {}  # by goroutine and channel
        self._given: set[int] = set()

    def learn(self, ticking: Iterable[tuple[Goroutine, GoTimer]], channels: Iterable[int]) -> None:
        """Look for those that have one of these channels, among goroutines that wait for a
        timer.
        """
        wanted = [channel for channel in channels if channel not in self._given]
        untried = (
            (each, channel)
            for each, timer in ticking
            if timer.alone and 0 < timer.period <= _LONGEST_PERIOD
            for channel in wanted
            if (each.number, channel) not in self._reaches
        )
        for each, channel in islice(untried, _MOST_TRIED):
            found = self._reaches[each.number, channel] = self._has(each, channel)
            if found:
                self._given.add(channel)

    def gives(self, channel: int) -> bool:
        """Whether a tick brings what is waited for there."""
        return channel in self._given

    def _has(self, each: Goroutine, channel: int) -> bool:
        """Whether a channel is on its stack, in what that refers to, or in a variable that the
        code of its functions names.
        """
        words = self._goroutines.words_of(each)
        if channel in words:
            return True
        places = [*words, *self._places(words)]
        wanted = channel.to_bytes(WORD, "little")
        sizes = [_OBJECT] * len(words) + [WORD] * (len(places) - len(words))
        return wanted in self._memory.together(list(zip(places, sizes, strict=True)))

    def _places(self, words: Iterable[int]) -> Iterator[int]:
        """The variables that are named by the functions that a stack returns into."""
        look = self._goroutines.functions.function
        functions = {f.entry: f for f in map(look, words) if f is not None}
        for entry, function in functions.items():
            if function.name.startswith(_RUNTIME):
                continue
            code = self._memory.read(entry, _CODE)
            for at in range(len(code) - _RELATIVE.size + 1):
                end = entry + at + _RELATIVE.size
                place = end + _RELATIVE.unpack_from(code, at)[0]
                if place % WORD == 0 and self._is_variable(place) and look(end) is function:
                    yield place

    def _is_variable(self, place: int) -> bool:
        return any(begin <= place < begin + size for begin, size in self._goroutines.variables)
