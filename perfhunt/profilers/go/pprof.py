"""Reader of pprof's profile.proto, as Go serves it: gzip around protocol buffers, no dependency.

Field numbers: github.com/google/pprof, proto/profile.proto.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from perfhunt.model.profile import Frame, FrameKind, Stack

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class PprofError(ValueError):
    """The bytes are not a pprof profile; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Pprof:
    """Stacks to samples, how long it was taken, seconds between two samples of a busy thread."""

    stacks: dict[Stack, float]
    seconds: float
    period: float


def fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field of a message. Raises PprofError."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        kind = key & 7
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


def _numbers(value: int | bytes) -> list[int]:
    """A repeated number, packed or not."""
    if isinstance(value, int):
        return [value]
    numbers, at = [], 0
    while at < len(value):
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
    strings: list[str]
    functions: dict[int, tuple[int, int]]  # id -> name, file
    locations: dict[int, list[tuple[int, int]]]  # id -> (function, line), innermost inlined first


def parse_pprof(raw: bytes, counted: str = "samples") -> Pprof:
    """The profile in `raw`, gzipped or not, by its column `counted`: that of a CPU profile, or
    `goroutine` of one of goroutines. Raises PprofError.
    """
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise PprofError(f"the profile does not unzip: {error}") from error
    tables = _Tables([], {}, {})
    samples: list[tuple[list[int], list[int]]] = []
    types: list[int] = []
    nanoseconds = period = 0
    for number, value in fields(raw):
        if number == 1:
            types.append(next((_number(v) for n, v in fields(_message(value)) if n == 1), 0))
        elif number == 2:
            samples.append(_sample(_message(value)))
        elif number == 4:
            _location(_message(value), tables)
        elif number == 5:
            function = {n: _number(v) for n, v in fields(_message(value))}
            tables.functions[function.get(1, 0)] = (function.get(2, 0), function.get(4, 0))
        elif number == 6:
            tables.strings.append(_message(value).decode(errors="replace"))
        elif number == 10:
            nanoseconds = _number(value)
        elif number == 12:
            period = _number(value)
    try:
        names = [tables.strings[number] for number in types]
        column = names.index(counted)
        stacks: dict[Stack, float] = {}
        for locations, values in samples:
            stack = _stack(locations, tables)
            stacks[stack] = stacks.get(stack, 0.0) + values[column]
    except (LookupError, ValueError) as error:
        raise PprofError(
            f"this is no profile of {counted}, or its tables do not fit together: {error}"
        ) from error
    return Pprof(stacks, nanoseconds / 1e9, period / 1e9)


def _sample(raw: bytes) -> tuple[list[int], list[int]]:
    locations: list[int] = []
    values: list[int] = []
    for number, value in fields(raw):
        if number == 1:
            locations += _numbers(value)
        elif number == 2:
            values += _numbers(value)
    return locations, values


def _location(raw: bytes, tables: _Tables) -> None:
    identity, lines = 0, []
    for number, value in fields(raw):
        if number == 1:
            identity = _number(value)
        elif number == 4:
            line = {n: _number(v) for n, v in fields(_message(value))}
            lines.append((line.get(1, 0), line.get(2, 0)))
    tables.locations[identity] = lines


def _stack(locations: Sequence[int], tables: _Tables) -> Stack:
    frames = []
    for location in locations:
        for function, line in tables.locations[location]:
            name, file = tables.functions[function]
            frames.append(
                Frame(tables.strings[name], tables.strings[file], line or None, kind=FrameKind.GO)
            )
    return tuple(reversed(frames))
