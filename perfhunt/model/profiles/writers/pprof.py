"""Profiles as pprof's profile.proto, gzipped: what `go tool pprof` and others open.

Field numbers: github.com/google/pprof, proto/profile.proto.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable

from perfhunt.model.profile import Frame, Profile
from perfhunt.model.profiles.writers.grain import NANOSECONDS, Grain, is_time, plain_unit
from perfhunt.model.units import Seconds

PPROF_GRAIN = Grain("pprof", NANOSECONDS)
_NANOSECOND: Seconds = 1e-9
_BYTES = "bytes"


def pprof_bytes(profile: Profile) -> bytes:
    """The file of one column: a count, bytes, or nanoseconds of what was in a unit of time. Weights
    are whole numbers there: others are rounded. Raises UsageError for one beyond 64 bits.
    """
    return gzip.compress(_Message(profile).content(), mtime=0)


class _Message:
    """Collects the tables that samples refer to: every text, function and location once."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._strings = {"": 0}
        self._functions: dict[tuple[str, str], int] = {}
        self._locations: dict[tuple[str, str, int], int] = {}
        self._known: dict[int, int] = {}  # the location of a frame, by its id()

    def content(self) -> bytes:
        """The whole message."""
        profile = self._profile
        unit = plain_unit(profile)
        if is_time(profile):
            of, unit = "time", "nanoseconds"
        else:
            of, unit = ("space", unit) if unit == _BYTES else (unit, "count")
        parts = [_bytes(1, self._pair(of, unit))]
        for stack, weight in profile.stacks.items():
            locations = (self._location(frame) for frame in reversed(stack))
            value = _varint(PPROF_GRAIN.whole(profile, weight))
            parts.append(_bytes(2, _bytes(1, _packed(locations)) + _bytes(2, value)))
        if profile.seconds:
            parts.append(_number(10, round(profile.seconds / _NANOSECOND)))
        if profile.rate_hz:
            parts.append(_bytes(11, self._pair("cpu", "nanoseconds")))
            parts.append(_number(12, round(1 / profile.rate_hz / _NANOSECOND)))
        for (name, file, line), identity in self._locations.items():
            within = _number(1, self._function(name, file)) + _number(2, line)
            parts.append(_bytes(4, _number(1, identity) + _bytes(4, within)))
        for (name, file), identity in self._functions.items():
            named = _number(2, self._string(name)) + _number(4, self._string(file))
            parts.append(_bytes(5, _number(1, identity) + named))
        parts += [_bytes(6, text.encode(errors="replace")) for text in self._strings]
        return b"".join(parts)

    def _pair(self, of: str, unit: str) -> bytes:
        return _number(1, self._string(of)) + _number(2, self._string(unit))

    def _string(self, text: str) -> int:
        return self._strings.setdefault(text, len(self._strings))

    def _function(self, name: str, file: str) -> int:
        return self._functions.setdefault((name, file), len(self._functions) + 1)

    def _location(self, frame: Frame) -> int:
        known = self._known.get(id(frame))
        if known is None:
            key = (frame.function, frame.file, frame.line or 0)
            known = self._locations.setdefault(key, len(self._locations) + 1)
            self._known[id(frame)] = known
        return known


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def _packed(values: Iterable[int]) -> bytes:
    return b"".join(map(_varint, values))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content
