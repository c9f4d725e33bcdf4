"""Reader of folded stacks, `root;...;leaf COUNT`: py-spy's with `name (file:line)` frames, and
those of other tools, with what they say of a frame behind it (`_[k]`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance, numbered
from perfhunt.model.profile import MOST_FRAMES, Frame, FrameKind, Profile, Stack
from perfhunt.model.profiles.readers.foreign import decoded, kind_of, only_value, profile_of

_WHAT = "the folded profile"
# Of samples or lines: what fits 64 bits, since Python refuses to convert thousands of digits.
_NUMBER = re.compile(r"[0-9]{1,18}")
# Of py-spy, and of dotnet-trace: `Thread (123) (.NET ThreadPool)`.
_LABEL = re.compile(
    r"(?:process [0-9]+(?::.*)?|[Tt]hread \([0-9A-Fa-fx]+\)(?:: .*| \(.*\))?)", re.DOTALL
)
_PROCESS = re.compile(r'process [0-9]+:"(?:[^"\\]|\\.)*"(?=;|$)')
_NATIVE = re.compile(r"\.so(?:\.[0-9.]+)?$|^(?:lib|ld-)|\.(?:c|cc|cpp|cxx|h|hpp|rs|S)$")
# What a line of any tool ends with. Of a number that is written longer, Python keeps no more.
_COUNT = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,20})?(?:e[+-]?[0-9]{1,2})?")
_MARKED = re.compile(rf"_\[(?P<mark>[kji01]|{'|'.join(FrameKind)})\]$")
# Of stackcollapse-perf and async-profiler: kernel; compiled, inlined, interpreted, by C1.
_MARKS = {"k": FrameKind.KERNEL} | dict.fromkeys("ji01", FrameKind.JVM)
_JAVA = re.compile(r"[\w$]+(?:/[\w$.+]+)+\.[\w$<>]+")  # java/lang/String.hashCode
# Behind rbspy's ` - `; Ruby's functions in C are in no file.
_RUBY_PLACE = re.compile(r"\(unknown\)(?::0)?|(?P<file>[^:]+):(?P<line>[0-9]{1,9})")
_JAVA_THREAD = re.compile(r"\[.* tid=[0-9]+\]", re.DOTALL)
_LONG = 19  # digits: fewer fit 64 bits


class FoldedError(Unreadable):
    """A line was not a folded stack; the message holds its number."""


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


def of_others(text: str) -> Frame:
    """One frame as any tool prints it: as py-spy does, with a mark of its kind behind it, or as a
    bare name. What our own writer encoded is decoded.
    """
    marked = _MARKED.search(text)
    plain = text[: marked.start()] if marked else text
    frame = parse_frame(plain)
    function, dash, place = plain.rpartition(" - ")
    if marked:
        mark = marked["mark"]
        frame = replace(frame, kind=_MARKS.get(mark) or FrameKind(mark))
    elif _JAVA_THREAD.fullmatch(plain):
        frame = replace(frame, kind=FrameKind.THREAD)
    elif dash and (ruby := _RUBY_PLACE.fullmatch(place)) is not None:
        frame = Frame(function, ruby["file"] or "", int(ruby["line"] or 0) or None)
    elif frame.kind == FrameKind.PYTHON:
        java = not frame.file and _JAVA.fullmatch(plain)
        frame = replace(frame, kind=FrameKind.JVM if java else kind_of(frame.file))
    if "%" in text:
        frame = replace(frame, function=decoded(frame.function), file=decoded(frame.file))
    return frame


def is_folded(lines: str) -> bool:
    """Whether a text begins as a folded file: its first line is a stack with a count."""
    text, space, count = lines.lstrip("\n").partition("\n")[0].rstrip("\r").rpartition(" ")
    return bool(text and space and _COUNT.fullmatch(count))


def read_any_folded(lines: Iterable[str], asked: str = "") -> Profile:
    """The profile in folded lines of any tool; each different line is parsed once. Raises
    FoldedError, Unreadable for more than is read.
    """
    only_value(asked, "samples")
    allowed = Allowance(MOST_FRAMES, "frames", _WHAT)
    known: dict[str, Frame] = {}
    stacks: dict[str, Stack] = {}
    weights: dict[str, float] = {}
    for number, line in numbered(lines, _WHAT):
        text, _, count = line.rpartition(" ")
        if not count.isascii() or not (count.isdigit() and len(count) < _LONG):
            if not line:
                continue
            if not _COUNT.fullmatch(count):
                raise FoldedError(f"Line {number} is not a folded stack: {line[:80]!r}")
        if text in weights:
            weights[text] += float(count)
            continue
        frames = list(_split(text)) if text else []
        allowed.take(len(frames) + 1)
        if not all(frames):
            raise FoldedError(f"Line {number} holds a frame without a name: {line[:80]!r}")
        for frame in frames:
            if frame not in known:
                known[frame] = of_others(frame)
        stacks[text] = tuple(map(known.__getitem__, frames))
        weights[text] = float(count)
    whole: dict[Stack, float] = {}
    for text, weight in weights.items():
        stack = stacks[text]
        whole[stack] = whole.get(stack, 0.0) + weight
    return profile_of("folded", whole)
