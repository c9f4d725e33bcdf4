"""The stack of a goroutine that runs. Where it is, only registers say, which nobody reads without
stopping it; its memory says what each function called last, for a frame has one size wherever its
function calls: so the walk begins at the root. The last of these calls may be over.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from perfhunt.model.units import Bytes
from perfhunt.profilers.go.functions import CodeAt, Functions
from perfhunt.target.proc.memory import WORD, ProcessMemory

ROOT = "runtime.goexit"  # what a goroutine returns into
DEEPEST = 256  # frames of a stack
LONGEST_STACK: Bytes = 1 << 16  # read of it from its root
_NEAR = 8  # words from the beginning of a stack within which the address of `ROOT` is
# A call of a function whose address is in the instruction, relative to what follows it (amd64).
_CALL, _CALL_OPCODE = struct.Struct("<Bi"), 0xE8


class LastCalls:
    """Reads the last calls on stacks of one process."""

    def __init__(self, memory: ProcessMemory, functions: Functions) -> None:
        self._memory, self._functions = memory, functions

    def of(self, low: int, high: int) -> list[CodeAt]:
        """The places on a stack between two addresses, from the leaf on; none where its root is not
        found.

        Where a function was called, its return address stands, and beneath it the frame pointer of
        its caller, which it keeps for it. So the function is known that left the address of that
        very place beneath the return address of what it called itself.
        """
        size = min(high - low, LONGEST_STACK)
        raw = self._memory.read(high - size, size) if size > 0 else b""
        words, base = struct.unpack(f"<{len(raw) // WORD}Q", raw), high - size
        called = self._root(words)
        points: list[CodeAt] = []
        while called and len(points) < DEEPEST:
            kept = base + (called - 1) * WORD
            within = self._calls(words, called, kept)
            if within is None:
                break
            called, place = within
            points.append(place)
        while points and (entered := self._called(words[called])) is not None:
            # It keeps no frame pointer, or what it called does not.
            called -= self._functions.deepest(entered[1].function) // WORD + 1
            point = self._functions.at(words[called] - 1) if called > 0 else None
            if point is None or point.function is not entered[1].function:
                points.append(entered)
                break
            points.append((words[called] - 1, point))
        return points[::-1]

    def _root(self, words: Sequence[int]) -> int:
        """Where on a stack the address is that a goroutine returns into at last; 0: not there."""
        for n in range(len(words) - 1, max(0, len(words) - 1 - _NEAR), -1):
            function = self._functions.function(words[n])
            if function is not None and function.name == ROOT:
                return n
        return 0

    def _calls(self, words: Sequence[int], called: int, kept: int) -> tuple[int, CodeAt] | None:
        """(where the return address of its last call is, its place) of the function whose own is
        at `called`, and which keeps a frame pointer at the address `kept`; None when it called
        nothing.
        """
        for n in range(called - 2, 0, -1):
            point = self._functions.at(words[n] - 1) if words[n - 1] == kept else None
            if point is not None and n + point.frame_size // WORD + 1 == called:
                return n, (words[n] - 1, point)
        return None

    def _called(self, back: int) -> CodeAt | None:
        """The beginning of the function that a call instruction before an address leads to, when
        it names one.
        """
        raw = self._memory.read(back - _CALL.size, _CALL.size)
        if len(raw) < _CALL.size or raw[0] != _CALL_OPCODE:
            return None
        entry = back + _CALL.unpack(raw)[1]
        point = self._functions.at(entry)
        return (entry, point) if point is not None else None
