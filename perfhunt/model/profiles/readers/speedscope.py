"""Reader of speedscope's files, sampled and evented (its src/lib/file-format-spec.ts)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance
from perfhunt.model.profile import MOST_FRAMES, Frame, FrameKind, Profile, Stack
from perfhunt.model.profiles.readers.folded import of_others
from perfhunt.model.profiles.readers.foreign import kind_of, profile_of, shaped, which

_WHAT = "the speedscope file"
UNITS = ("none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes")
_ALL = "all"
_SAMPLES = "samples"  # as the model calls what speedscope says is of no unit


class SpeedscopeError(Unreadable):
    """The value is no speedscope file; the message says what is wrong, and where."""


class _PlainFrame(msgspec.Struct):
    name: str
    file: str | None = None
    line: int | None = None


class _Shared(msgspec.Struct):
    frames: list[_PlainFrame]


class _SpeedscopeEvent(msgspec.Struct):
    type: str
    at: float
    frame: int


class _PlainProfile(msgspec.Struct):
    type: str
    name: str = ""
    unit: str = "none"
    samples: list[list[int]] = []
    weights: list[float] = []
    events: list[_SpeedscopeEvent] = []


class _File(msgspec.Struct):
    shared: _Shared
    profiles: list[_PlainProfile]
    activeProfileIndex: int | None = None
    exporter: str = ""


def is_speedscope(value: Any) -> bool:
    """Whether a JSON value says that it is such a file."""
    return isinstance(value, dict) and {"shared", "profiles"} <= value.keys()


def read_speedscope(value: Any, asked: str = "") -> Profile:
    """One of its profiles: that which was asked for by name or number, else the one it opens with,
    else (or where `all` was asked for) all of one unit together, each below its name. Raises
    SpeedscopeError, Unreadable, UsageError.
    """
    file = shaped(value, _File, _WHAT, SpeedscopeError)
    frames = [_frame(frame) for frame in file.shared.frames]
    allowed = Allowance(MOST_FRAMES, "frames", _WHAT)
    chosen = _chosen(file, asked)
    stacks: dict[Stack, float] = {}
    for index in chosen:
        profile = file.profiles[index]
        top = (Frame(profile.name, kind=FrameKind.THREAD),) if len(chosen) > 1 else ()
        where = f"{_WHAT}, profile {index} ({profile.name[:80]!r})"
        if profile.type == "sampled":
            _add_samples(stacks, profile, frames, top, where, allowed)
        elif profile.type == "evented":
            _add_events(stacks, profile, frames, top, where, allowed)
        else:
            raise SpeedscopeError(f"{where} is neither sampled nor evented: {profile.type[:40]!r}")
    unit = file.profiles[chosen[0]].unit if chosen else "none"
    if unit not in UNITS:
        raise SpeedscopeError(f"{_WHAT} has a unit that is none of its format's: {unit[:40]!r}")
    notes = _others(file, chosen)
    return profile_of(
        file.exporter or "speedscope",
        stacks,
        unit=_SAMPLES if unit == "none" else unit,
        notes=notes,
    )


def _chosen(file: _File, asked: str) -> Sequence[int]:
    profiles = file.profiles
    like_first = [i for i, profile in enumerate(profiles) if profile.unit == profiles[0].unit]
    if asked == _ALL:
        return like_first
    if asked:
        return [which(asked, [profile.name for profile in profiles], 0)]
    active = file.activeProfileIndex
    if active is not None and 0 <= active < len(profiles):
        return [active]
    return like_first


def _others(file: _File, chosen: Sequence[int]) -> list[str]:
    left = [p.name for i, p in enumerate(file.profiles) if i not in chosen]
    if not left:
        return []
    read = ", ".join(file.profiles[i].name for i in chosen)
    return [
        f"read: {read}; not read: {', '.join(left)} (--value NAME reads one of them, {_ALL} all)"
    ]


def _frame(plain: _PlainFrame) -> Frame:
    if not plain.file:  # some tools write all they know into the name
        return of_others(plain.name)
    line = plain.line if plain.line is not None and plain.line > 0 else None
    return Frame(plain.name, plain.file, line, kind_of(plain.file))


def _weight(value: float, where: str) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise SpeedscopeError(f"{where} holds a weight of {value}: weights are 0 or more")
    return value


def _add_samples(
    stacks: dict[Stack, float],
    profile: _PlainProfile,
    frames: Sequence[Frame],
    top: Stack,
    where: str,
    allowed: Allowance,
) -> None:
    if len(profile.samples) != len(profile.weights):
        raise SpeedscopeError(
            f"{where} has {len(profile.samples)} samples and {len(profile.weights)} weights"
        )
    for number, (sample, weight) in enumerate(zip(profile.samples, profile.weights, strict=True)):
        allowed.take(len(sample) + 1)
        if not all(0 <= index < len(frames) for index in sample):
            raise SpeedscopeError(
                f"{where}: sample {number} has a frame that is not among the {len(frames)} shared"
            )
        stack = (*top, *(frames[index] for index in sample))
        stacks[stack] = stacks.get(stack, 0.0) + _weight(weight, where)


def _add_events(
    stacks: dict[Stack, float],
    profile: _PlainProfile,
    frames: Sequence[Frame],
    top: Stack,
    where: str,
    allowed: Allowance,
) -> None:
    """Time between two events goes to the stack that is open then."""
    opened: list[int] = []
    last = profile.events[0].at if profile.events else 0.0
    for number, event in enumerate(profile.events):
        if not 0 <= event.frame < len(frames):
            raise SpeedscopeError(f"{where}: event {number} has frame {event.frame}, there is none")
        if _weight(event.at - last, f"{where}: event {number}") > 0:
            allowed.take(len(opened) + 1)
            stack = (*top, *(frames[index] for index in opened))
            stacks[stack] = stacks.get(stack, 0.0) + event.at - last
        last = event.at
        if event.type == "O":
            opened.append(event.frame)
        elif event.type == "C" and opened and opened[-1] == event.frame:
            opened.pop()
        else:
            raise SpeedscopeError(
                f"{where}: event {number} ({event.type[:10]!r}) does not close the frame that"
                " was opened last"
            )
    if opened:
        raise SpeedscopeError(f"{where}: {len(opened)} frames are opened and never closed")
