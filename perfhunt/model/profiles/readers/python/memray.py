"""Reader of what `memray stats --json` writes: its top lists. Whole stacks of memray come by way of
`memray transform speedscope`.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from perfhunt.errors import Unreadable
from perfhunt.model.profile import Frame, Profile, Stack
from perfhunt.model.profiles.readers.foreign import kind_of, profile_of, shaped, which

_WHAT = "the memray statistics"
_BYTES, _ALLOCATIONS = "bytes", "allocations"
_LOCATION = re.compile(
    r"(?P<function>[^:]*(?:::[^:]*)*):(?P<file>.*):(?P<line>[0-9]{1,9})", re.DOTALL
)


class MemrayError(Unreadable):
    """The value is nothing that memray writes; the message says what is wrong, and where."""


class _Location(msgspec.Struct):
    location: str
    size: float = 0.0
    count: float = 0.0


class _Statistics(msgspec.Struct):
    top_allocations_by_size: list[_Location]
    top_allocations_by_count: list[_Location]


def is_memray(value: Any) -> bool:
    """Whether a JSON value looks like one."""
    return isinstance(value, dict) and "top_allocations_by_size" in value


def read_memray(value: Any, asked: str = "") -> Profile:
    """`bytes` by place, or `allocations`: a stack of one frame each. Raises MemrayError."""
    read = shaped(value, _Statistics, _WHAT, MemrayError)
    unit = (_BYTES, _ALLOCATIONS)[which(asked, (_BYTES, _ALLOCATIONS), 0)]
    of_size = unit == _BYTES
    stacks: dict[Stack, float] = {}
    for place in read.top_allocations_by_size if of_size else read.top_allocations_by_count:
        weight = place.size if of_size else place.count
        match = _LOCATION.fullmatch(place.location)
        if match is None or not (math.isfinite(weight) and weight >= 0):
            raise MemrayError(
                f"{_WHAT}: no `function:file:line` of 0 or more: {place.location[:80]!r}"
            )
        line = int(match["line"]) or None
        stack = (Frame(match["function"], match["file"], line, kind_of(match["file"])),)
        stacks[stack] = stacks.get(stack, 0.0) + weight
    note = "memray's statistics hold only the places that allocated most, without their callers"
    return profile_of("memray", stacks, unit=unit, notes=(note,))
