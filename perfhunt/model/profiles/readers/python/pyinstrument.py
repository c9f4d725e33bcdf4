"""Reader of pyinstrument: its JSON, and the sessions that it saves (version 5)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance
from perfhunt.model.profile import MOST_FRAMES, Frame, FrameKind, Profile, Stack
from perfhunt.model.profiles.readers.foreign import kind_of, only_value, profile_of, shaped

_WHAT = "the pyinstrument profile"
_UNIT = "seconds"
# A call of its JSON that stands for its caller's own time, or for time it could not place.
_SELF = "[self]"
# What a session puts between the parts of a frame, and before what it knows more of it: `l` is
# the line that ran.
_PART, _MORE = "\x00", "\x01"
_THREAD = "<thread>"
_AWAIT, _ELSEWHERE = "[await]", "[out-of-context]"  # frames without parts: what is not running
_BUILT_IN = "<built-in>"
_LINE = "l"


class PyinstrumentError(Unreadable):
    """The value is neither JSON nor a session of pyinstrument; the message says what is wrong."""


class _CallTree(msgspec.Struct):
    function: str
    time: float
    file_path: str | None = None
    line_no: int | None = None
    children: list[_CallTree] = []


class _Report(msgspec.Struct):
    duration: float
    root_frame: _CallTree | None = None


class _PyinstrumentSession(msgspec.Struct):
    duration: float
    frame_records: list[tuple[list[str], float]]
    min_interval: float = 0.0


def is_pyinstrument(value: Any) -> bool:
    """Whether a JSON value looks like one of the two."""
    return isinstance(value, dict) and (
        {"root_frame", "sample_count"} <= value.keys() or "frame_records" in value
    )


def read_pyinstrument(value: Any, asked: str = "") -> Profile:
    """Seconds by stack. Raises PyinstrumentError, Unreadable for more than is read."""
    only_value(asked, _UNIT)
    if isinstance(value, dict) and "frame_records" in value:
        session = shaped(value, _PyinstrumentSession, _WHAT, PyinstrumentError)
        return profile_of(
            "pyinstrument", _of_session(session), unit=_UNIT, seconds=_time(session.duration)
        )
    report = shaped(value, _Report, _WHAT, PyinstrumentError)
    stacks = {} if report.root_frame is None else _of_tree(report.root_frame)
    return profile_of("pyinstrument", stacks, unit=_UNIT, seconds=_time(report.duration))


def _time(seconds: float) -> float:
    if not (math.isfinite(seconds) and seconds >= 0):
        raise PyinstrumentError(f"{_WHAT} holds a time of {seconds} s: times are 0 or more")
    return seconds


def _of_tree(root: _CallTree) -> dict[Stack, float]:
    """Own times: a call's, without those below it."""
    allowed = Allowance(MOST_FRAMES, "frames", _WHAT)
    stacks: dict[Stack, float] = {}
    waiting: list[tuple[_CallTree, Stack]] = [(root, ())]
    while waiting:
        call, above = waiting.pop()
        own = call.function == _SELF
        stack = above if own else (*above, _called(call))
        allowed.take(len(stack) + 1)
        left = _time(call.time) - sum(_time(child.time) for child in call.children)
        if left > 0:
            stacks[stack] = stacks.get(stack, 0.0) + left
        waiting.extend((child, stack) for child in call.children)
    return stacks


def _called(call: _CallTree) -> Frame:
    file = call.file_path or ""
    line = call.line_no if file and call.line_no is not None and call.line_no > 0 else None
    return Frame(call.function, file, line, kind_of(file))


def _of_session(session: _PyinstrumentSession) -> dict[Stack, float]:
    allowed = Allowance(MOST_FRAMES, "frames", _WHAT)
    known: dict[str, Frame] = {}
    stacks: dict[Stack, float] = {}
    for records, seconds in session.frame_records:
        allowed.take(len(records) + 1)
        for text in records:
            if text not in known:
                known[text] = _recorded(text)
        stack = tuple(known[text] for text in records)
        stacks[stack] = stacks.get(stack, 0.0) + _time(seconds)
    return stacks


def read_recorded(frames: Iterable[str]) -> Stack:
    """A stack of frames as a session spells them. Raises PyinstrumentError."""
    return tuple(_recorded(text) for text in frames)


@lru_cache(maxsize=1 << 14)
def _recorded(text: str) -> Frame:
    """`function NUL file NUL first line`, and behind \\x01 each: `l` with the line that ran."""
    if text in (_AWAIT, _ELSEWHERE):
        return Frame(text)
    plain, *more = text.split(_MORE)
    parts = plain.split(_PART)
    if len(parts) != 3:
        raise PyinstrumentError(f"{_WHAT}: not `function, file, line`: {text[:80]!r}")
    function, file, _ = parts
    if file == _THREAD:
        return Frame(function, kind=FrameKind.THREAD)
    if file == _BUILT_IN:
        return Frame(function, kind=FrameKind.NATIVE)
    ran = next((item[1:] for item in more if item.startswith(_LINE)), parts[2])
    line = int(ran) if ran.isascii() and ran.isdigit() and len(ran) < 10 else 0
    return Frame(function, file, line or None, kind_of(file))
