"""Profiles as pprof's profile.proto, gzipped: what `go tool pprof` and others open.

Field numbers: github.com/google/pprof, proto/profile.proto.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable

from perfhunt.errors import UsageError
from perfhunt.model.profile import Frame, Profile
from perfhunt.model.units import Seconds

_LARGEST = (1 << 63) - 1  # of a value: the format's are signed numbers of 64 bits
_NANOSECOND: Seconds = 1e-9
# Units of time as the format's users know them, and how many nanoseconds one is.
_TIMES = {"nanoseconds": 1, "microseconds": 1_000, "milliseconds": 1_000_000, "seconds": 10**9}
_BYTES = "bytes"
_ALIASES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


def pprof_bytes(profile: Profile) -> bytes:
    """The file of one column: a count, bytes, or nanoseconds of what was in a unit of time. Weights
    are whole numbers there: others are rounded. Raises UsageError for one beyond 64 bits.
    """
    return gzip.compress(_Message(profile).content(), mtime=0)


def whole_value(profile: Profile, weight: float) -> int:
    """A weight as it is written."""
    factor = _TIMES.get(_ALIASES.get(profile.unit, profile.unit), 1)
    if not weight * factor <= _LARGEST:
        raise UsageError(
            f"a weight of {weight:g} {profile.unit} is more than pprof can hold",
            "Write it as folded or speedscope.",
        )
    return round(weight * factor)


def is_exact(profile: Profile, weight: float) -> bool:
    """Whether nothing of a weight is lost by rounding."""
    factor = _TIMES.get(_ALIASES.get(profile.unit, profile.unit), 1)
    return whole_value(profile, weight) / factor == weight


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
        unit = _ALIASES.get(profile.unit, profile.unit)
        if unit in _TIMES:
            of, unit = "time", "nanoseconds"
        else:
            of, unit = ("space", unit) if unit == _BYTES else (unit, "count")
        parts = [_bytes(1, self._pair(of, unit))]
        for stack, weight in profile.stacks.items():
            locations = (self._location(frame) for frame in reversed(stack))
            value = _varint(whole_value(profile, weight))
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
