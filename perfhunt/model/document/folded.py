"""Stacks as folded text, one `root;...;leaf COUNT` a line, and back again without loss.

A frame is `function (file:line)`, with `_[kind]` behind it when it is not Python. What would break
the line (`;`, a newline, a bracket in the wrong place) is percent-encoded, so that other tools read
the file and this one reads back what it wrote.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from urllib.parse import unquote

from perfhunt.model.document.bounded import Allowance, numbered
from perfhunt.model.profile import MOST_FRAMES, Frame, FrameKind, Stack
from perfhunt.model.text.escaping import folded, folded_line

_LINE = re.compile(r"(.*) ([0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)")
_FRAME = re.compile(
    r"(?P<function>.*?)(?: \((?P<file>[^()]*?)(?::(?P<line>[0-9]{1,18}))?\))?"
    rf"(?:_\[(?P<kind>{'|'.join(FrameKind)})\])?",
    re.DOTALL,
)
_EMPTY = "%"  # stands for a function without a name; cannot come out of the encoding otherwise


def format_frame(frame: Frame) -> str:
    """One frame as text: `checkout (shop/views.py:40)`, `memcpy (libc.so.6)_[native]`."""
    text = folded(frame.function, r"(?<= )\(|(?<=_)\[") or _EMPTY
    if frame.file or frame.line is not None:
        place = folded(frame.file, r"[()]|:(?=\d+$)")
        text += f" ({place}:{frame.line})" if frame.line is not None else f" ({place})"
    return text if frame.kind == FrameKind.PYTHON else f"{text}_[{frame.kind}]"


def parse_frame(text: str) -> Frame:
    """The frame that `format_frame` wrote. Text from elsewhere comes back as a function name at
    worst.
    """
    match = _FRAME.fullmatch(text)
    if match is None:  # cannot happen: the function part takes anything
        return Frame(text)
    function = "" if match["function"] == _EMPTY else _read(match["function"])
    line = int(match["line"]) if match["line"] else None
    return Frame(
        function, _read(match["file"] or ""), line, FrameKind(match["kind"] or FrameKind.PYTHON)
    )


def _read(text: str) -> str:
    return unquote(text, errors="surrogateescape")


def fold(stacks: Mapping[Stack, float]) -> str:
    """Folded text of the stacks, heaviest first, each line ended; empty text for no stacks. Whole
    weights have no point.
    """
    lines = [(weight, ";".join(format_frame(f) for f in stack)) for stack, weight in stacks.items()]
    lines.sort(key=lambda pair: (-pair[0], pair[1]))
    return "".join(f"{folded_line(text)} {_weight(weight)}\n" for weight, text in lines)


def _weight(weight: float) -> str:
    return str(int(weight)) if float(weight).is_integer() else repr(float(weight))


def unfold(text: str) -> dict[Stack, float]:
    """The stacks and weights in folded text. Raises ValueError naming the first line that is not
    `stack COUNT`, Unreadable for more than is read.
    """
    allowed = Allowance(MOST_FRAMES, "frames", "the folded profile")
    stacks: dict[Stack, float] = {}
    for number, line in numbered(text, "the folded profile"):
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None or not math.isfinite(float(match[2])):
            raise ValueError(f"line {number} is not a folded stack: {line[:80]!r}")
        frames = match[1].split(";") if match[1] else []
        allowed.take(len(frames))
        stack = tuple(map(parse_frame, frames))
        stacks[stack] = stacks.get(stack, 0.0) + float(match[2])
    return stacks
