"""Reader of Austin's text: `P1;T0:1;file:function:line 123`, with `# name: value` around it.

Source: github.com/P403n1x87/austin, README.md, "Normal Mode", "Memory and Full Metrics".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance, numbered
from perfhunt.model.profile import MOST_FRAMES, Frame, FrameKind, Profile, Stack
from perfhunt.model.profiles.readers.foreign import decoded, kind_of, profile_of, which

_WHAT = "the Austin profile"
_META = re.compile(r"# (?P<name>[a-z_]+): (?P<value>.*)")
_LABEL = re.compile(r"P[0-9]+|T[0-9a-fx]+(?::[0-9a-fx]+)?")
_BEGINS = re.compile(r"# austin: |P[0-9]+;T[0-9a-fx]+(?::[0-9a-fx]+)?[; ]")
_EVENT = re.compile(r":(?P<name>[A-Z]+):")  # its own, such as the garbage collector at work
_NUMBER = re.compile(r"-?[0-9]{1,18}")
_FRAME = re.compile(r"(?P<file>.*):(?P<function>[^:]+):(?P<line>[0-9]{1,9})", re.DOTALL)
_FULL = "full"
_IDLE = Frame("idle", kind=FrameKind.WAIT)
# What a mode counts, and in which unit. Times are of one sample, in microseconds.
_TIME = "microseconds"
_VALUES: dict[str, tuple[tuple[str, str], ...]] = {
    "wall": (("wall", _TIME),),
    "cpu": (("cpu", _TIME),),
    "memory": (("memory", "bytes"),),
    _FULL: (("wall", _TIME), ("cpu", _TIME), ("memory", "bytes")),
}


class AustinError(Unreadable):
    """A line was not what Austin writes; the message holds its number."""


def is_austin(text: str) -> bool:
    """Whether a text begins as Austin's does."""
    return _BEGINS.match(text) is not None


def read_austin(lines: Iterable[str], asked: str = "") -> Profile:
    """What its mode counts; of its full metrics `wall` time (or `cpu`: while not idle, or `memory`:
    what was allocated), with `idle` as the leaf of who was. Raises AustinError, Unreadable,
    UsageError.
    """
    meta: dict[str, str] = {}
    samples = numbered(lines, _WHAT)
    first: list[tuple[int, str]] = []
    for number, line in samples:
        match = _META.fullmatch(line)
        if match is not None:
            meta[match["name"]] = match["value"]
        elif line:
            first = [(number, line)]
            break
    mode = meta.get("mode", "wall")
    if mode not in _VALUES:
        raise AustinError(f"{_WHAT} is of a mode that is none of Austin's: {mode[:40]!r}")
    values = _VALUES[mode]
    name, unit = values[which(asked, [name for name, _ in values], 0)]
    notes = [f"read: {name} (--value wall, cpu, memory)"] if mode == _FULL else []
    reader = _Lines(mode, name)
    for number, line in chain(first, samples):
        match = _META.fullmatch(line)
        if match is not None:
            meta[match["name"]] = match["value"]
        elif line:
            reader.add(number, line)
    if reader.freed:
        notes.append(f"{reader.freed:,} bytes given back are left out")
    microseconds = meta.get("duration", "")
    seconds = int(microseconds) / 1e6 if _NUMBER.fullmatch(microseconds) else 0.0
    return profile_of("austin", reader.stacks, unit=unit, seconds=seconds, notes=notes)


class _Lines:
    """The lines of one file, added one by one."""

    def __init__(self, mode: str, value: str) -> None:
        self.stacks: dict[Stack, float] = {}
        self.freed = 0
        self._mode, self._value = mode, value
        self._known: dict[str, Frame] = {}
        self._allowed = Allowance(MOST_FRAMES, "frames", _WHAT)

    def add(self, number: int, line: str) -> None:
        """One line. Raises AustinError."""
        text, _, metrics = line.rpartition(" ")
        numbers = metrics.split(",")
        full = self._mode == _FULL
        if len(numbers) != (3 if full else 1) or not all(map(_NUMBER.fullmatch, numbers)):
            raise AustinError(f"Line {number} is no sample of Austin ({self._mode}): {line[:80]!r}")
        counted = [int(each) for each in numbers]
        idle = full and counted[1] != 0
        weight = counted[2] if full and self._value == "memory" else counted[0]
        if full and self._value == "cpu" and idle:
            return
        if weight < 0:
            self.freed -= weight
            return
        stack = tuple(self._frame(part, number) for part in text.split(";"))
        self._allowed.take(len(stack))
        stack = (*stack, _IDLE) if idle and self._value == "wall" else stack
        if weight:
            self.stacks[stack] = self.stacks.get(stack, 0.0) + weight

    def _frame(self, text: str, number: int) -> Frame:
        frame = self._known.get(text)
        if frame is None:
            if _LABEL.fullmatch(text):
                frame = Frame(text, kind=FrameKind.THREAD)
            elif (event := _EVENT.fullmatch(text)) is not None:
                frame = Frame(f"({event['name']})")
            elif (match := _FRAME.fullmatch(text)) is not None:
                file, line = decoded(match["file"]), int(match["line"]) or None
                frame = Frame(decoded(match["function"]), file, line, kind_of(file))
            else:
                raise AustinError(f"Line {number} has no `file:function:line`: {text[:80]!r}")
            self._known[text] = frame
        return frame
