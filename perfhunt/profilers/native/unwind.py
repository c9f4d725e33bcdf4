"""From two registers and a copy of a thread's stack to the functions it is in.

The kernel tells of a thread that sleeps where its code and its stack are, and no more. Where a
function counts from its frame pointer, and no function below it saved that register, its frame is
found by the call that made it: of the addresses on the stack, one that lies behind a call of this
function, and from which the way leads to the root. So is that of each function of a file that has
no tables for it, as musl's C library has none.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from perfhunt.model.units import Bytes
from perfhunt.profilers.native.image import ProcessImage
from perfhunt.target.binary.tables import (
    FRAME_POINTER,
    RETURN_ADDRESS,
    STACK_POINTER,
    UnwindRow,
    evaluated,
)

_WORD = 8
_MOST_FRAMES = 256
_ADDRESS = (1 << 64) - 1
# Of a frame that is looked for: buffers of more than this are rare on a stack.
_SEARCHED: Bytes = 16 << 10
_CALL = struct.Struct("<Bi")  # call rel32
_DIRECT, _INDIRECT = 0xE8, 0xFF
_LONGEST_CALL = 7  # bytes of an instruction that calls through a register or memory
_JUMP = re.compile(rb"(?=(?:\xe9|\x0f[\x80-\x8f])(....))", re.DOTALL)  # jmp, jcc rel32
_SHORT_JUMP = re.compile(rb"(?=\xeb(.))", re.DOTALL)  # jmp rel8
# The same by a table of addresses, of which the instruction says where it stands.
_FAR = re.compile(rb"(?=\xff\x25(....))", re.DOTALL)
_BY_TABLE = b"\xff\x15"  # call [rip + distance]
_LONGEST_STUB: Bytes = 16  # what calls another library's function, through its table
_MOST_JUMPS = 3  # in a row
_MOST_CODE: Bytes = 64 << 10  # of a function, in which jumps are looked for
_UNTOLD: Bytes = 256  # the same of one whose end nobody tells
# To its caller's frame, from code without a table: those of musl that call others have less.
_NEAR: Bytes = 512

_MOST_WAYS, _MOST_GUESSES = 8, 2  # that are tried of one frame, and frames of a stack

_Step: TypeAlias = tuple[int, dict[int, int]]  # where code goes on, and its registers
MemoryReader = Callable[[int, Bytes], bytes]  # address and size -> what is there, or less


@dataclass(frozen=True, slots=True)
class Registers:
    """Where a thread is: its code and its stack, and what of its other registers is known."""

    code: int
    stack: int
    others: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class StackCopy:
    """A copy of the top of a stack; beyond it, memory is read as it is now."""

    at: int
    raw: bytes
    memory: MemoryReader

    def word(self, address: int) -> int | None:
        """The word at an address; None where nothing can be read."""
        offset = address - self.at
        if 0 <= offset <= len(self.raw) - _WORD:
            return int.from_bytes(self.raw[offset : offset + _WORD], "little")
        raw = self.memory(address & _ADDRESS, _WORD)
        return int.from_bytes(raw, "little") if len(raw) == _WORD else None


class Unwinder:
    """Walks the stacks of one process."""

    def __init__(self, image: ProcessImage, memory: MemoryReader) -> None:
        self._image, self._memory = image, memory
        self._calls: dict[int, int | None] = {}
        self._begun: dict[int, frozenset[int]] = {}

    def walk(self, at: Registers, stack: StackCopy) -> tuple[list[int], bool]:
        """(addresses of code, leaf first, one within each call; whether they reach the root)."""
        return self._walk((at.code, {**at.others, STACK_POINTER: at.stack}), stack, 0)

    def _walk(self, step: _Step, stack: StackCopy, guesses: int) -> tuple[list[int], bool]:
        """The same from a step on; of several ways to go on, the first that reaches the root."""
        (code, known), found = step, list[int]()
        while len(found) < _MOST_FRAMES and self._image.is_code(code):
            # A return address may lie behind the function's end.
            inside = code - bool(found or guesses)
            found.append(inside)
            row = self._image.row(inside)
            if row is not None and row.is_root:
                return found, True
            steps = self._callers(row, inside, known, stack)
            if len(steps) > 1 and guesses < _MOST_GUESSES:
                ways = [self._walk(each, stack, guesses + 1) for each in steps]
                rest, whole = next((way for way in ways if way[1]), ways[0])
                return found + rest, whole
            if not steps:
                return found, self._is_outermost(inside, known[STACK_POINTER], stack)
            code, known = steps[0]
        return found, code == 0 and not guesses

    def _callers(
        self, row: UnwindRow | None, inside: int, known: dict[int, int], stack: StackCopy
    ) -> list[_Step]:
        """Where the caller may go on, the likeliest first; mostly there is one place."""
        if row is None:
            step = self._without_table(inside, known, stack)
            return [step] if step is not None else []
        if row.expression:
            base = evaluated(row.expression, known, stack.word)
            bases = [base] if base is not None else []
        elif row.register in known:
            bases = [known[row.register] + row.offset]
        else:
            bases = self._searched(row, inside, known[STACK_POINTER], stack)
        steps = (self._step(row, base, known, stack) for base in bases)
        return [step for step in steps if step is not None]

    def _step(
        self, row: UnwindRow, base: int, known: dict[int, int], stack: StackCopy
    ) -> _Step | None:
        """(where the caller goes on, its registers); None where nothing can be read."""
        code = stack.word(base + row.saved.get(RETURN_ADDRESS, -_WORD))
        if code is None or base <= known[STACK_POINTER]:
            return None
        caller = {r: value for r, value in known.items() if r not in row.saved}
        for register, offset in row.saved.items():
            if (value := stack.word(base + offset)) is not None:
                caller[register] = value
        caller[STACK_POINTER] = base
        return code, caller

    def _without_table(self, inside: int, known: dict[int, int], stack: StackCopy) -> _Step | None:
        """The caller of code without a table: by the chain of frame pointers, where it was made at
        run time or the call there is one of it; else the first on the stack that called it.
        """
        first, framed = self._image.untold_from(inside), self._by_frame_pointer(known, stack)
        if not first or (framed is not None and self._calls_into(framed[0], first, inside)):
            return framed
        return next(
            (
                (code, {STACK_POINTER: address + _WORD})
                for address, code in self._calls_on(stack, known[STACK_POINTER])
                if self._calls_into(code, first, inside)
            ),
            None,
        )

    def _calls_into(self, code: int, first: int, inside: int) -> bool:
        """Whether the call in front of an address may be of the function that holds another and
        begins at `first` or later; one through a pointer may.
        """
        called = self._called(code)
        if not called:
            return called is not None
        return any(first <= begin <= inside for begin in self._begins_by(called))

    def _is_outermost(self, inside: int, low: int, stack: StackCopy) -> bool:
        """Whether code without a table is where a thread begins: nothing that lies near on its
        stack is behind a call of other code.
        """
        if not self._image.untold_from(inside) or not 0 <= low - stack.at < len(stack.raw):
            return False
        near = (code for at, code in self._calls_on(stack, low) if at < low + _NEAR)
        return not any(
            self._called(code) is not None and self._image.row(code - 1) is not None
            for code in near
        )

    def _by_frame_pointer(self, known: dict[int, int], stack: StackCopy) -> _Step | None:
        """The caller of code without a table (made at run time), by the chain of frame pointers."""
        frame, low = known.get(FRAME_POINTER), known[STACK_POINTER]
        if frame is None or not low <= frame < low + _SEARCHED or frame % _WORD:
            return None
        code, outer = stack.word(frame + _WORD), stack.word(frame)
        if code is None or outer is None or not self._image.is_code(code):
            return None
        return code, {FRAME_POINTER: outer, STACK_POINTER: frame + 2 * _WORD}

    def _searched(self, row: UnwindRow, inside: int, low: int, stack: StackCopy) -> list[int]:
        """What a function may count from, found by the call that made it, the likeliest first.

        A call that names the function, or another that ends by jumping to it, is certain but for
        calls that are over and left their mark. Else the first calls through registers count.
        """
        begin, _ = self._image.extent(inside)
        named, through_pointers = list[int](), list[int]()
        for address, code in self._calls_on(stack, low):
            called = self._called(code)
            base = address - row.saved.get(RETURN_ADDRESS, -_WORD)
            if called is None or base <= low:
                continue
            if begin in self._begins_by(called):
                named.append(base)
            elif called == 0:
                through_pointers.append(base)
            if len(named) == _MOST_WAYS:
                break
        return (named or through_pointers)[:_MOST_WAYS]

    def _calls_on(self, stack: StackCopy, low: int) -> list[tuple[int, int]]:
        """(place, address of code) for what may be a return address, from `low` upwards."""
        raw = stack.raw[max(0, low - stack.at) :][:_SEARCHED]
        words = np.frombuffer(raw[: len(raw) // _WORD * _WORD], "<u8")
        return [(low + _WORD * int(n), int(words[n])) for n in self._image.code_among(words)]

    def _called(self, code: int) -> int | None:
        """The address that the call in front of an address calls; 0 for one through a pointer that
        is not known any more, None where there is no call.
        """
        if code not in self._calls:
            self._calls[code] = self._decoded(code)
        return self._calls[code]

    def _decoded(self, code: int) -> int | None:
        raw = self._memory(code - _LONGEST_CALL, _LONGEST_CALL)
        if len(raw) < _LONGEST_CALL:
            return None
        name, distance = _CALL.unpack(raw[-_CALL.size :])
        if name == _DIRECT:
            return (code + int(distance)) & _ADDRESS
        if raw[-6:-4] == _BY_TABLE:
            return self._pointed(code + int(distance))
        # The middle of the byte behind the code says that it is a call.
        if any(raw[-n] == _INDIRECT and raw[1 - n] >> 3 & 7 == 2 for n in range(2, 8)):
            return 0
        return None

    def _pointed(self, address: int) -> int:
        """What a pointer in memory leads to; 0 for nowhere."""
        return int.from_bytes(self._memory(address & _ADDRESS, _WORD), "little")

    def _begins_by(self, called: int) -> frozenset[int]:
        """Where functions begin that a call of one is a call of: itself, and what it ends by
        jumping to.
        """
        if called not in self._begun:
            begun, last = {called}, {called}
            for _ in range(_MOST_JUMPS):
                last = {to for each in last for to in self._jumps_of(each)} - begun
                begun |= last
            self._begun[called] = frozenset(begun)
        return self._begun[called]

    def _jumps_of(self, called: int) -> set[int]:
        """Where a function jumps to beyond its own end: calls that were its last act."""
        begin, end = self._image.extent(called) if called else (0, 0)
        # A stub that leads to another library has no table of its own.
        size = min(end - begin, _MOST_CODE) if begin == called else _LONGEST_STUB
        size = _UNTOLD if called and self._image.untold_from(called) else size
        raw = self._memory(called, size) if called else b""
        jumps = (m for form in (_JUMP, _SHORT_JUMP) for m in form.finditer(raw))
        near = {called + m.end(1) + _signed(m[1]) for m in jumps}
        far = {self._pointed(called + m.end(1) + _signed(m[1])) for m in _FAR.finditer(raw)}
        outside = (to for to in near | far if not begin <= to < end)
        return {to for to in outside if self._may_begin_at(to)}

    def _may_begin_at(self, address: int) -> bool:
        return self._image.extent(address)[0] == address or self._image.untold_from(address) > 0


def _signed(distance: bytes) -> int:
    return int.from_bytes(distance, "little", signed=True)
