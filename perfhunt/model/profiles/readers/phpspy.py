"""Reader of phpspy's text: `0 function file:line` a frame, leaf first, a blank line or a comment
behind each sample.

Source: github.com/adsr/phpspy, README.md, "Example (httpd)", and what of it `reli-prof` prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance, numbered
from perfhunt.model.profile import MOST_FRAMES, Frame, Profile, Stack
from perfhunt.model.profiles.readers.foreign import only_value, profile_of

_WHAT = "the phpspy profile"
_FRAME = re.compile(
    r"(?P<at>[0-9]{1,6}) (?P<function>\S+) (?P<file>.*?):(?P<line>-?[0-9]{1,9})(?::[A-Z0-9_]+)?"
)
_COMMENT = "#"
_INTERNAL = "<internal>"  # code of PHP itself, which is in no file


class PhpspyError(Unreadable):
    """A line was not what phpspy prints; the message holds its number."""


def is_phpspy(text: str) -> bool:
    """Whether a text begins as phpspy's does: with the frame that is the leaf of a sample."""
    lines = (line for line in text.split("\n") if line and not line.startswith(_COMMENT))
    first = _FRAME.fullmatch(next(lines, "").rstrip("\r"))
    return first is not None and first["at"] == "0"


def read_phpspy(lines: Iterable[str], asked: str = "") -> Profile:
    """Its samples, one each. Raises PhpspyError, Unreadable for more than is read."""
    only_value(asked, "samples")
    allowed = Allowance(MOST_FRAMES, "frames", _WHAT)
    known: dict[str, Frame] = {}
    stacks: dict[Stack, float] = {}
    frames: list[Frame] = []

    def end() -> None:
        if frames:
            stack = tuple(reversed(frames))
            if stack not in stacks:
                allowed.take(len(stack))
            stacks[stack] = stacks.get(stack, 0.0) + 1
            frames.clear()

    for number, line in numbered(lines, _WHAT):
        if not line or line.startswith(_COMMENT):
            if not line:
                end()
            continue
        match = _FRAME.fullmatch(line)
        if match is None:
            raise PhpspyError(
                f"Line {number} is no `N function file:line` of phpspy: {line[:80]!r}"
            )
        if match["at"] == "0":
            end()
        if int(match["at"]) != len(frames):
            raise PhpspyError(
                f"Line {number} is frame {match['at']} of a sample whose next is {len(frames)}"
            )
        place = line.partition(" ")[2]
        if place not in known:
            allowed.take()
            known[place] = _frame(match)
        frames.append(known[place])
    end()
    return profile_of("phpspy", stacks)


def _frame(match: re.Match[str]) -> Frame:
    file, line = match["file"], int(match["line"])
    return Frame(match["function"], "" if file == _INTERNAL else file, line if line > 0 else None)
