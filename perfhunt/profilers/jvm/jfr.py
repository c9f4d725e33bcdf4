"""Reader of `jfr print`: the JDK's own text of a flight recording."""

from __future__ import annotations

import re
from collections import Counter

from perfhunt.model.profile import Frame, FrameKind, Stack

EVENT = "jdk.ExecutionSample"
_FRAME = re.compile(
    r"(?P<class>[^()]+)\.(?P<method>[^.()]+)\((?P<arguments>.*?)\)(?:\s+line:\s*(?P<line>\d+))?"
)


class JfrError(ValueError):
    """A line was not what `jfr print` prints; the message holds its number."""


def parse_jfr_print(text: str) -> tuple[dict[Stack, float], int]:
    """(stacks to samples, stacks that were cut) of the text of `EVENT`. Raises JfrError."""
    stacks: Counter[Stack] = Counter()
    frames: list[Frame] | None = None
    cut = 0
    for number, line in enumerate(text.splitlines(), 1):
        content = line.strip()
        if frames is None:
            if content == "stackTrace = [":
                frames = []
        elif content == "]":
            stacks[tuple(reversed(frames))] += 1
            frames = None
        elif content == "...":
            cut += 1
        else:
            frames.append(_frame(content, number))
    return dict(stacks), cut


def _frame(text: str, number: int) -> Frame:
    match = _FRAME.fullmatch(text)
    if match is None:
        raise JfrError(f"Line {number} is not a Java frame: {text[:80]!r}")
    line = int(match["line"]) if match["line"] else None
    return Frame(f"{match['class']}.{match['method']}", match["class"], line, kind=FrameKind.JVM)
