"""Reader of py-spy's folded stacks: `root;...;leaf COUNT`, with `name (file:line)` frames."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from perfhunt.model.profile import Frame, FrameKind, Stack

_LINE = re.compile(r"(?P<stack>.+) (?P<count>[0-9]+)")
_FRAME = re.compile(r"(?P<function>.+) \((?P<file>.*?)(?::(?P<line>[0-9]+))?\)")
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
    match = _FRAME.fullmatch(text)
    if match is None:
        return Frame(text)
    file = match["file"]
    kind = FrameKind.NATIVE if _NATIVE.search(file) else FrameKind.PYTHON
    return Frame(match["function"], file, int(match["line"]) if match["line"] else None, kind)


def _split(stack: str) -> Iterator[str]:
    # A command line may hold semicolons and quotes, so quoted process labels are taken off the
    # front first.
    while (process := _PROCESS.match(stack)) is not None:
        yield process[0]
        stack = stack[process.end() + 1 :]
        if not stack:
            return
    yield from stack.split(";")


def _parse_line(line: str) -> tuple[Stack, int] | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    frames = list(_split(match["stack"]))
    if not all(frames):
        return None
    return tuple(parse_frame(frame) for frame in frames), int(match["count"])


def read_folded(text: str) -> Folded:
    """Every folded stack in `text`, with the lines that are none set aside and numbered."""
    stacks: dict[Stack, float] = {}
    bad = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line:
            continue
        parsed = _parse_line(line)
        if parsed is None:
            bad.append((number, line))
        else:
            stacks[parsed[0]] = stacks.get(parsed[0], 0.0) + parsed[1]
    return Folded(stacks, tuple(bad))
