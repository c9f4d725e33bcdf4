"""The functions of a Go program, from the table its own tracebacks are made from: names, files and
lines, inlined calls, and how far the stack has grown at every instruction.

Formats: `_func`, `inlinedCall` and `pcvalue` of Go's `runtime/runtime2.go`, `runtime/symtabinl.go`
and `runtime/symtab.go`, as they are since 1.20.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Frame, FrameKind, Stack
from perfhunt.model.profiles.readers.perf_script import CallsAt
from perfhunt.model.units import Bytes
from perfhunt.profilers.go.image import GoImage
from perfhunt.target.proc.files import link
from perfhunt.target.proc.memory import ProcessMemory
from perfhunt.target.runtime import runtime_of

_ENTRY = struct.Struct("<II")  # of the index: where code begins, where its record is
_RECORD = struct.Struct("<IiiIIIIIIiBBxB")
_INLINED = struct.Struct("<B3xiii")
_WORD32 = struct.Struct("<I")
_UNITLESS = 0xFFFFFFFF  # instead of a file, for code that none was written for
# Which of a function's tables of values, and of its data, say what was inlined (internal/abi).
_INLINED_CALLS = 2, 3
_LONGEST: Bytes = 1 << 16  # of a table of values; those of generated giants have some KiB
# What the compiler makes of `go f(x)` and `defer f(x)`: a function that only calls the one meant.
_WRAPPER = re.compile(r"\.(?:go|defer)wrap\d+$")
_DEEPEST = 64  # calls inlined into each other


@dataclass(frozen=True, slots=True)
class GoFunction:
    """One function: the address of its code, its name, and where its tables are. `inlining` are
    the table of values and the list that tell which calls were inlined, 0 for none.
    """

    entry: int
    name: str
    stack: int
    file: int
    line: int
    unit: int
    inlining: tuple[int, int]


@dataclass(frozen=True, slots=True)
class CodePoint:
    """A place in the code: the calls it is in (inlined ones too, outermost first), the function and
    how many bytes its frame has there, without the return address.
    """

    frames: Stack
    function: GoFunction
    frame_size: Bytes


# The address of an instruction, and what is known of it.
CodeAt: TypeAlias = tuple[int, CodePoint]


class Functions:
    """Looks up places in the code of one program; what was asked for is kept."""

    def __init__(self, image: GoImage) -> None:
        self._image, self._module = image, image.module
        self._index = image.table(image.module.index, _ENTRY.size * (image.module.count + 1))
        self._functions: dict[int, GoFunction] = {}
        self._points: dict[int, CodePoint | None] = {}
        self._values: dict[int, tuple[tuple[int, int], ...]] = {}

    def at(self, address: int) -> CodePoint | None:
        """The place of an instruction; None outside of the program's code, or where its tables make
        no sense.
        """
        try:
            return self._points[address]
        except KeyError:
            try:
                point = self._read(address)
            except struct.error:  # What stands there is no table of a Go that is known.
                point = None
            self._points[address] = point
            return point

    def deepest(self, function: GoFunction) -> Bytes:
        """How many bytes a function's frame has in its body, where it calls others."""
        return max((value for _, value in self._table(function.stack)), default=0)

    def _read(self, address: int) -> CodePoint | None:
        function = self.function(address)
        if function is None:
            return None
        offset = address - function.entry
        calls = [*self._frames(function, offset)]
        frames = tuple(f for f in reversed(calls) if not _WRAPPER.search(f.function))
        return CodePoint(frames, function, max(0, self._value(function.stack, offset)))

    def function(self, address: int) -> GoFunction | None:
        """The function whose code has an instruction; None outside of the program's."""
        module = self._module
        if not module.code[0] <= address < module.code[1]:
            return None
        wanted, low, high = address - module.text, 0, module.count
        while high - low > 1:
            middle = (low + high) // 2
            if _ENTRY.unpack_from(self._index, middle * _ENTRY.size)[0] <= wanted:
                low = middle
            else:
                high = middle
        if low not in self._functions:
            self._functions[low] = self._record(low)
        return self._functions[low]

    def _record(self, number: int) -> GoFunction:
        module, table = self._module, self._image.table
        begin, record = _ENTRY.unpack_from(self._index, number * _ENTRY.size)
        at = module.functions + record
        fields = _RECORD.unpack(table(at, _RECORD.size))
        tables, lists = fields[7], fields[12]
        which, what = _INLINED_CALLS
        inlining = 0, 0
        if which < tables and what < lists:
            begins = at + _RECORD.size + which * _WORD32.size
            (values,) = _WORD32.unpack(table(begins, _WORD32.size))
            begins = at + _RECORD.size + (tables + what) * _WORD32.size
            (calls,) = _WORD32.unpack(table(begins, _WORD32.size))
            inlining = (values, module.go_data + calls) if calls != _UNITLESS else inlining
        return GoFunction(
            entry=module.text + begin,
            name=self._image.string(module.names + fields[1]),
            stack=fields[4],
            file=fields[5],
            line=fields[6],
            unit=fields[8],
            inlining=inlining,
        )

    def _frames(self, function: GoFunction, offset: int) -> Iterator[Frame]:
        """The calls at an instruction, innermost first."""
        values, calls = function.inlining
        for _ in range(_DEEPEST):
            call = self._value(values, offset) if values else -1
            if call < 0:
                break
            raw = self._image.table(calls + call * _INLINED.size, _INLINED.size)
            _, name, parent, _ = _INLINED.unpack(raw)
            yield self._frame(self._image.string(self._module.names + name), function, offset)
            offset = parent
        yield self._frame(function.name, function, offset)

    def _frame(self, name: str, function: GoFunction, offset: int) -> Frame:
        module, file = self._module, ""
        number = self._value(function.file, offset)
        if number >= 0:
            at = module.units + (function.unit + number) * _WORD32.size
            (begins,) = _WORD32.unpack(self._image.table(at, _WORD32.size))
            file = self._image.string(module.files + begins) if begins != _UNITLESS else ""
        line = self._value(function.line, offset)
        return Frame(name, file, line if line > 0 else None, FrameKind.GO)

    def _value(self, table: int, offset: int) -> int:
        """What a table of values has for an instruction, so many bytes into a function; -1 for
        none.
        """
        if not table:
            return -1
        return next((value for end, value in self._table(table) if offset < end), -1)

    def _table(self, table: int) -> tuple[tuple[int, int], ...]:
        """The ranges of a table: (the first byte behind it, its value)."""
        if table not in self._values:
            raw = self._image.table(self._module.values + table, _LONGEST)
            self._values[table] = tuple(_ranges(raw))
        return self._values[table]


def go_calls(pid: int) -> CallsAt | None:
    """What says which calls a place in the program of a Go process is in, inlined ones too; None
    for a process that is none, or cannot be read.
    """
    if runtime_of(pid)[0] != "go":
        return None
    try:
        memory = ProcessMemory(pid)
    except OSError:
        return None
    try:
        image = GoImage(memory)
        functions = Functions(image)
    except AttachFailed:
        return None
    finally:
        memory.close()

    program = link(pid, "exe")

    def calls_at(image_file: str, offset: int) -> Stack:
        if image_file != program:
            return ()
        points = (functions.at(address) for address in image.addresses(offset))
        return next((point.frames for point in points if point is not None), ())

    return calls_at


def _ranges(raw: bytes) -> Iterator[tuple[int, int]]:
    """Pairs of varints: what the value grows by (folded: the sign is its lowest bit), and over how
    many bytes it holds; a growth of 0 ends it, but for the first.
    """
    value, end, numbers = -1, 0, list[int]()
    for number in _varints(raw):
        numbers.append(number)
        if len(numbers) % 2:
            if number == 0 and len(numbers) > 1:
                return
            value += -(number >> 1) - 1 if number & 1 else number >> 1
        else:
            end += number
            yield end, value


def _varints(raw: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in raw:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield number
            number = shift = 0
