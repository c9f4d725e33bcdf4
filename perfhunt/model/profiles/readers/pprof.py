"""Reader of pprof's profile.proto, as Go and others write it: gzip around protocol buffers.

Field numbers: github.com/google/pprof, proto/profile.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance, unzipped
from perfhunt.model.profile import MOST_FRAMES, Frame, FrameKind, Profile, Stack
from perfhunt.model.profiles.readers.foreign import kind_of, profile_of, which
from perfhunt.model.units import Bytes

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WHAT = "the pprof profile"
LARGEST: Bytes = 64 << 20  # unzipped: 100,000 different stacks of 64 locations take a quarter
# Fields and packed numbers: 70 for a stack of 64 locations, each read within a microsecond.
_MOST_NUMBERS = 4_000_000
_COST = 8  # numbers that a part of the profile counts for by itself, in time and memory
_COUNT = "count"  # the unit of a column of whole things
_SIGNED = 1 << 63  # numbers from here on stand for negative ones


class PprofError(Unreadable):
    """The bytes are not a pprof profile; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Pprof:
    """Stacks to samples, how long it was taken, seconds between two samples of a busy thread."""

    stacks: dict[Stack, float]
    seconds: float
    period: float


def fields(raw: bytes, numbers: Allowance) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field of a message. Raises PprofError, or Unreadable when there are
    more than `numbers` allows.
    """
    at = 0
    while at < len(raw):
        numbers.take()
        key, at = _varint(raw, at)
        kind = key & 7
        if key < 8:
            raise PprofError(f"byte {at}: there is no field 0 in protocol buffers")
        value: int | bytes
        if kind == _VARINT:
            value, at = _varint(raw, at)
        elif kind == _BYTES:
            size, at = _varint(raw, at)
            value, at = raw[at : at + size], at + size
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
            value, at = int.from_bytes(raw[at : at + size], "little"), at + size
        else:
            raise PprofError(f"byte {at}: wire type {kind} is not one of protocol buffers")
        if at > len(raw):
            raise PprofError("the profile is cut short")
        yield key >> 3, value


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(raw) or shift > 63:
            raise PprofError(f"byte {at}: a number is cut short or too long")
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _numbers(value: int | bytes, allowed: Allowance) -> list[int]:
    """A repeated number, packed or not."""
    if isinstance(value, int):
        return [value]
    numbers, at = [], 0
    while at < len(value):
        allowed.take()
        number, at = _varint(value, at)
        numbers.append(number)
    return numbers


def _message(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise PprofError("a number stands where a message should")
    return value


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise PprofError("a message stands where a number should")
    return value


@dataclass(slots=True)
class _Tables:
    strings: list[str] = field(default_factory=list)
    functions: dict[int, tuple[int, int]] = field(default_factory=dict)  # id -> name, file
    # id -> (function, line), innermost inlined first
    locations: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    addresses: dict[int, int] = field(default_factory=dict)  # of a location
    frames: dict[int, Stack] = field(default_factory=dict)  # of a location, as they were asked for


class _ProtobufReader:
    """Reads one profile: what was read of it so far, and how much more may be."""

    def __init__(self) -> None:
        self.tables = _Tables()
        self.samples: list[tuple[list[int], list[int]]] = []
        self.types: list[tuple[int, int]] = []  # what is counted, in which unit
        self.nanoseconds = self.period = self.period_unit = self.default = 0
        self._numbers = Allowance(_MOST_NUMBERS, "numbers", _WHAT)
        self._frames = Allowance(MOST_FRAMES, "frames", _WHAT)

    def read(self, raw: bytes) -> None:
        tables = self.tables
        for number, value in fields(raw, self._numbers):
            self._numbers.take(_COST)
            if number == 1:
                named = {n: _number(v) for n, v in self._fields(value)}
                self.types.append((named.get(1, 0), named.get(2, 0)))
            elif number == 2:
                self._sample(value)
            elif number == 4:
                self._location(value)
            elif number == 5:
                function = {n: v for n, v in self._fields(value) if isinstance(v, int)}
                tables.functions[function.get(1, 0)] = (function.get(2, 0), function.get(4, 0))
            elif number == 6:
                tables.strings.append(_message(value).decode(errors="replace"))
            elif number == 10:
                self.nanoseconds = _number(value)
            elif number == 11:
                named = {n: _number(v) for n, v in self._fields(value)}
                self.period_unit = named.get(2, 0)
            elif number == 12:
                self.period = _number(value)
            elif number == 14:
                self.default = _number(value)

    def _fields(self, value: int | bytes) -> Iterator[tuple[int, int | bytes]]:
        return fields(_message(value), self._numbers)

    def _sample(self, value: int | bytes) -> None:
        locations: list[int] = []
        values: list[int] = []
        for number, part in self._fields(value):
            if number == 1:
                locations += _numbers(part, self._numbers)
            elif number == 2:
                values += _numbers(part, self._numbers)
        self.samples.append((locations, values))

    def _location(self, value: int | bytes) -> None:
        identity, address, lines = 0, 0, []
        for number, part in self._fields(value):
            if number == 1:
                identity = _number(part)
            elif number == 3:
                address = _number(part)
            elif number == 4:
                line = {n: v for n, v in self._fields(part) if isinstance(v, int)}
                lines.append((line.get(1, 0), line.get(2, 0)))
        self.tables.locations[identity] = lines
        self.tables.addresses[identity] = address

    def columns(self) -> list[tuple[str, str]]:
        """What its columns count, and in which unit. Raises LookupError."""
        strings = self.tables.strings
        return [(strings[name], strings[unit]) for name, unit in self.types]

    def stacks(self, column: int) -> dict[Stack, float]:
        """Stacks to what a column counts. Raises LookupError, ValueError."""
        stacks: dict[Stack, float] = {}
        for locations, values in self.samples:
            if values[column] >= _SIGNED:
                raise ValueError("a negative count")
            stack = self._stack(locations)
            stacks[stack] = stacks.get(stack, 0.0) + values[column]
        return stacks

    def _stack(self, locations: Sequence[int]) -> Stack:
        frames: list[Frame] = []
        for location in reversed(locations):
            inlined = self._at(location)
            self._frames.take(len(inlined))
            frames += inlined
        return tuple(frames)

    def _at(self, location: int) -> Stack:
        """The frames of a location, outermost first."""
        tables = self.tables
        if location not in tables.frames:
            if not tables.locations[location]:  # code without symbols
                address = hex(tables.addresses[location])
                tables.frames[location] = (Frame(address, kind=FrameKind.NATIVE),)
                return tables.frames[location]
            placed = [(*tables.functions[f], line) for f, line in tables.locations[location]]
            tables.frames[location] = tuple(
                _frame(tables.strings[name], tables.strings[file], line)
                for name, file, line in reversed(placed)
            )
        return tables.frames[location]


def _frame(name: str, file: str, line: int) -> Frame:
    """A line is a signed number there; those of no file are none."""
    return Frame(name, file, line if 0 < line < _SIGNED else None, kind_of(file, FrameKind.GO))


def parse_pprof(raw: bytes, counted: str = "samples") -> Pprof:
    """The profile in `raw`, gzipped or not, by its column `counted`: that of a CPU profile, or
    `goroutine` of one of goroutines. Raises PprofError, or Unreadable for one larger than is read.
    """
    reader = _read(raw)
    try:
        stacks = reader.stacks([name for name, _ in reader.columns()].index(counted))
    except (LookupError, ValueError) as error:
        raise _ill_fitting(counted, error) from error
    return Pprof(stacks, reader.nanoseconds / 1e9, reader.period / 1e9)


def read_pprof(raw: bytes, asked: str = "") -> Profile:
    """The column that was asked for, else the file's own default, else its last, as `go tool pprof`
    shows. Raises PprofError, Unreadable, UsageError.
    """
    reader = _read(raw)
    try:
        columns = reader.columns()
        names = [name for name, _ in columns]
        default = reader.tables.strings[reader.default] if reader.default else ""
        last = names.index(default) if default in names else len(names) - 1
        column = which(asked, names, last)
        stacks = {stack: n for stack, n in reader.stacks(column).items() if n}
        name, unit = columns[column]
        timed = reader.tables.strings[reader.period_unit] == "nanoseconds"
    except (LookupError, ValueError) as error:
        raise _ill_fitting(asked or "anything", error) from error
    period = reader.period / 1e9 if timed else 0.0
    return profile_of(
        "pprof",
        stacks,
        unit=name if unit == _COUNT else unit,
        seconds=reader.nanoseconds / 1e9,
        rate_hz=1 / period if 0 < period < 1 else 0.0,
        notes=[f"read: {name} (--value {', '.join(names)})"] if len(names) > 1 else [],
    )


def is_pprof(raw: bytes) -> bool:
    """Whether bytes, unzipped, begin as one: with what it counts, a message of two numbers, or with
    its first sample.
    """
    return raw[:1] == b"\x12" or (raw[:1] == b"\x0a" and raw[2:3] in (b"\x08", b"\x10"))


def _ill_fitting(counted: str, error: Exception) -> PprofError:
    return PprofError(
        f"this is no profile of {counted}, or its tables do not fit together: {error}"
    )


def _read(raw: bytes) -> _ProtobufReader:
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = unzipped(raw, LARGEST, _WHAT)
        except Unreadable as error:
            raise PprofError(error.message, error.hint) from error
    reader = _ProtobufReader()
    reader.read(raw)
    return reader
