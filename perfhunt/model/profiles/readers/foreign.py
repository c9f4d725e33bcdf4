"""What readers of profiles of others share: the profile that they make, whose code a file is, and
which of several values was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec

from perfhunt.errors import UsageError
from perfhunt.model.profile import FrameKind, Profile, ProfileMode, Stack
from perfhunt.model.units import Seconds

_KINDS: tuple[tuple[re.Pattern[str], FrameKind], ...] = (
    (re.compile(r"\.pyx?$|^<frozen "), FrameKind.PYTHON),
    (re.compile(r"\.[cm]?[jt]sx?$|^node:"), FrameKind.JS),
    (re.compile(r"\.(?:java|kt|scala|groovy|clj)$"), FrameKind.JVM),
    (re.compile(r"\.go$"), FrameKind.GO),
    (
        re.compile(r"\.so(?:\.[0-9.]+)?$|^(?:lib|ld-)[^/]*$|\.(?:c|cc|cpp|cxx|h|hpp|rs|S)$"),
        FrameKind.NATIVE,
    ),
    (re.compile(r"^\[(?:kernel|guest)"), FrameKind.KERNEL),
)
# Units as the model names them.
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
# As our own writers encode; Go writes `%2e`, in small letters, as a part of a name.
_ENCODED = re.compile(r"(?:%[0-9A-F]{2})+")
_NAMELESS = "%"
Struct = TypeVar("Struct", bound=msgspec.Struct)


def kind_of(file: str, otherwise: FrameKind = FrameKind.PYTHON) -> FrameKind:
    """What code a file holds, by its name."""
    return next((kind for pattern, kind in _KINDS if pattern.search(file)), otherwise)


def decoded(name: str) -> str:
    """A name as it was before our own writers encoded it."""
    if name == _NAMELESS:
        return ""
    return _ENCODED.sub(lambda code: unquote(code[0], errors="replace"), name)


def profile_of(
    tool: str,
    stacks: Mapping[Stack, float],
    *,
    unit: str = "samples",
    seconds: Seconds = 0.0,
    rate_hz: float = 0.0,
    notes: Sequence[str] = (),
) -> Profile:
    """A profile of a file that does not say more about itself: 0 where nothing is known."""
    return Profile(
        tool=tool,
        version="",
        mode=ProfileMode.UNKNOWN,
        rate_hz=rate_hz,
        seconds=seconds,
        stacks=stacks,
        unit=_UNITS.get(unit, unit),
        notes=tuple(notes),
    )


def which(asked: str, values: Sequence[str], otherwise: int) -> int:
    """The index of the value that was asked for by its name, its first word or its number from 0;
    `otherwise` when none was. Raises UsageError with the names there are.
    """
    if not asked:
        return otherwise
    for named in (values, [value.partition(" ")[0] for value in values]):
        if asked in named:
            return named.index(asked)
    if asked.isascii() and asked.isdigit() and len(asked) < 9 and int(asked) < len(values):
        return int(asked)
    raise UsageError(
        f"there is no value {asked!r} in it", f"It has: {', '.join(values) or 'one value only'}"
    )


def only_value(asked: str, value: str) -> None:
    """Refuse, with UsageError, another value than the one that a format has."""
    which(asked, [value], 0)


def shaped(value: Any, shape: type[Struct], what: str, error: type[Exception]) -> Struct:
    """A JSON value as a struct. Raises `error`, which says where it is something else."""
    try:
        return msgspec.convert(value, shape)
    except (msgspec.ValidationError, ValueError, RecursionError) as wrong:
        raise error(f"{what} is none: {wrong}") from wrong
