"""Reader of py-spy's folded stacks: `root;...;leaf COUNT`, with `name (file:line)` frames."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from perfhunt.model.document.bounded import Allowance, numbered
from perfhunt.model.profile import MOST_FRAMES, Frame, FrameKind, Stack

_WHAT = "the folded profile"
# Of samples or lines: what fits 64 bits, since Python refuses to convert thousands of digits.
_NUMBER = re.compile(r"[0-9]{1,18}")
_LABEL = re.compile(r"(?:process [0-9]+(?::.*)?|thread \([0-9A-Fa-fx]+\)(?:: .*)?)", re.DOTALL)
_PROCESS = re.compile(r'process [0-9]+:"(?:[^"\\]|\\.)*"(?=;|$)')
_NATIVE = re.compile(r"\.so(?:\.[0-9.]+)?$|^(?:lib|ld-)|\.(?:c|cc|cpp|cxx|h|hpp|rs|S)$")


@dataclass(frozen=True, slots=True)
class Folded:
    """Stacks with their counts, and the numbers and texts of lines that were not folded stacks."""

    stacks: Mapping[Stack, float]
    bad: tuple[tuple[int, str], ...] = ()


def parse_frame(text: str) -> Frame:
    """One frame as py-spy prints it: `name (file:line)`, `name (file)`, a process or thread label,
    or a bare name.
    """
    if _LABEL.fullmatch(text):
        return Frame(text, kind=FrameKind.THREAD)
    function, opened, place = text.rpartition(" (")
    if not (opened and function and place.endswith(")")):
        return Frame(text)
    file, colon, line = place[:-1].rpartition(":")
    if not (colon and _NUMBER.fullmatch(line)):
        file, line = place[:-1], ""
    kind = FrameKind.NATIVE if _NATIVE.search(file) else FrameKind.PYTHON
    return Frame(function, file, int(line) if line else None, kind)


def _split(stack: str) -> Iterator[str]:
    # A command line may hold semicolons and quotes, so quoted process labels are taken off the
    # front first.
    at = 0
    while (process := _PROCESS.match(stack, at)) is not None:
        yield process[0]
        at = process.end() + 1
        if at >= len(stack):
            return
    yield from stack[at:].split(";")


def _parse_line(line: str, allowed: Allowance) -> tuple[Stack, int] | None:
    stack, _, count = line.rpartition(" ")
    if not (stack and _NUMBER.fullmatch(count)):
        return None
    frames = list(_split(stack))
    allowed.take(len(frames))
    if not all(frames):
        return None
    return tuple(parse_frame(frame) for frame in frames), int(count)


def read_folded(text: str | Iterable[str]) -> Folded:
    """Every folded stack in a text, or in its lines, with the lines that are none set aside and
    numbered. Raises Unreadable for more than is read.
    """
    allowed = Allowance(MOST_FRAMES, "frames", _WHAT)
    stacks: dict[Stack, float] = {}
    bad = []
    for number, line in numbered(text, _WHAT):
        if not line:
            continue
        parsed = _parse_line(line, allowed)
        if parsed is None:
            bad.append((number, line))
        else:
            stacks[parsed[0]] = stacks.get(parsed[0], 0.0) + parsed[1]
    return Folded(stacks, tuple(bad))
