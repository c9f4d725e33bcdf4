"""`perf script` output, read strictly: one sample per block, its frames leaf first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from perfhunt.model import redact
from perfhunt.model.profile import Frame, FrameKind, Stack

FIELDS = "comm,pid,tid,time,ip,sym,dso"
UNKNOWN = "[unknown]"

_HEADER = re.compile(r"\s*(?P<comm>\S.*?)\s+\d+/\d+\s+\d+\.\d+:\s*")
_FRAME = re.compile(r"\s+[0-9a-f]+ (?P<symbol>.+) \((?P<image>.*)\)")
_OFFSET = re.compile(r"\+0x[0-9a-f]+$")
# Images in brackets are the kernel's and its modules', but for these.
_USER_IMAGES = (UNKNOWN, "[vdso]", "[heap]", "[stack]", "[anon]")
_PYTHON = re.compile(r"py::(?P<function>.*):(?P<file>[^:]*)")


class PerfScriptError(ValueError):
    """A line was not what `perf script` prints; the message holds its number."""


@dataclass(frozen=True, slots=True)
class PerfSample:
    """One sample; `broken` says that frames were lost on the way to the root."""

    stack: Stack
    broken: bool


def parse_perf_script(text: str) -> Iterator[PerfSample]:
    """The samples of `perf script -F comm,pid,tid,time,ip,sym,dso`. Raises PerfScriptError at a
    line that is something else.
    """
    header: re.Match[str] | None = None
    frames: list[Frame] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            if header is not None:
                yield _sample(frames)
            header, frames = None, []
        elif header is None:
            if line.startswith("#"):
                continue
            header = _HEADER.fullmatch(line)
            if header is None:
                raise PerfScriptError(f"Line {number} does not begin a perf sample: {line[:80]!r}")
        else:
            frame = _FRAME.fullmatch(line)
            if frame is None:
                raise PerfScriptError(f"Line {number} is not a perf frame: {line[:80]!r}")
            frames.append(_frame(frame["symbol"], frame["image"]))
    if header is not None:
        yield _sample(frames)


def without_titles(text: str) -> str:
    """The text with the names of threads as they may be kept: a program can write a title there."""

    def named(line: str) -> str:
        match = _HEADER.fullmatch(line)
        if match is None or line.startswith("#"):
            return line
        return line.replace(match["comm"], redact.thread(match["comm"]), 1)

    return "".join(f"{named(line)}\n" for line in text.splitlines())


def _frame(symbol: str, image: str) -> Frame:
    symbol = _OFFSET.sub("", symbol)
    if (python := _PYTHON.fullmatch(symbol)) is not None:  # It is CPython's perf trampoline.
        return Frame(python["function"], python["file"])
    of_user = image in _USER_IMAGES or image.startswith("[JIT") or not image.startswith("[")
    return Frame(symbol, image, kind=FrameKind.NATIVE if of_user else FrameKind.KERNEL)


def _sample(frames: list[Frame]) -> PerfSample:
    """Frames root first. Addresses in no image are what is left when a frame pointer led nowhere:
    they are no functions.
    """
    mapped = [frame for frame in frames if (frame.function, frame.file) != (UNKNOWN, UNKNOWN)]
    stack: list[Frame] = []
    for frame in reversed(mapped):
        # A row of nameless frames in one image says no more than one of them.
        if not (frame.function == UNKNOWN and stack and stack[-1] == frame):
            stack.append(frame)
    return PerfSample(
        stack=tuple(stack) or (Frame(UNKNOWN, UNKNOWN, kind=FrameKind.NATIVE),),
        broken=len(mapped) < len(frames),
    )
