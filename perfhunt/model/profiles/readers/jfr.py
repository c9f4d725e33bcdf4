"""Reader of `jfr print`: the JDK's own text of a flight recording."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance, numbered
from perfhunt.model.profile import MOST_DIFFERENT_FRAMES, Frame, FrameKind, Profile, Stack
from perfhunt.model.profiles.readers.foreign import only_value, profile_of

EVENT = "jdk.ExecutionSample"
_FRAME = re.compile(
    r"(?P<class>[^()]+)\.(?P<method>[^.()]+)\((?P<arguments>.*?)\)(?:\s+line:\s*(?P<line>[0-9]{1,9}))?"
)
_WHAT = "what jfr printed"


# Classes that the JVM writes at run time end in a number and an address, of this process only.
_WRITTEN = re.compile(r"(?:\$[0-9]+)?[/+](?:0x)?[0-9a-f]+(?:\.[0-9]+)?$")


class JfrError(Unreadable):
    """A line was not what `jfr print` prints; the message holds its number."""


@dataclass(frozen=True, slots=True)
class _Event:
    """What `jfr print` prints of an event: its fields as text, its stack, and whether that was
    cut.
    """

    fields: Mapping[str, str]
    stack: Stack
    cut: bool


def parse_jfr_print(text: str | Iterable[str]) -> tuple[dict[Stack, float], int]:
    """(stacks to samples, stacks that were cut) of the text of `EVENT`, or of its lines. Raises
    JfrError, or Unreadable for more than is read.
    """
    stacks: Counter[Stack] = Counter()
    cut = 0
    for event in _events(text):
        stacks[event.stack] += 1
        cut += event.cut
    return dict(stacks), cut


def is_jfr_print(text: str) -> bool:
    """Whether a text begins as `jfr print` prints an event."""
    return text.lstrip().startswith(f"{EVENT} {{")


def read_jfr_print(lines: Iterable[str], asked: str = "") -> Profile:
    """The samples of `EVENT`, one each. Raises JfrError, Unreadable for more than is read."""
    only_value(asked, "samples")
    stacks, cut = parse_jfr_print(lines)
    notes = [f"{cut:,} stacks are deeper than was recorded and lack their roots"] if cut else []
    return profile_of("jfr", stacks, notes=notes)


def _events(text: str | Iterable[str]) -> Iterator[_Event]:
    """The events that have a stack."""
    allowed = Allowance(MOST_DIFFERENT_FRAMES, "different frames", _WHAT)
    fields: dict[str, str] = {}
    known: dict[str, Frame] = {}
    frames: list[Frame] | None = None
    cut = False
    for number, line in numbered(text, _WHAT):
        content = line.strip()
        if frames is None:
            if content == "stackTrace = [":
                frames, cut = [], False
            elif content.endswith("{"):
                fields = {}
            elif " = " in content:
                name, _, value = content.partition(" = ")
                fields[name] = value
        elif content == "]":
            yield _Event(fields, tuple(reversed(frames)), cut)
            frames = None
        elif content == "...":
            cut = True
        else:
            if content not in known:
                allowed.take()
                known[content] = _frame(content, number)
            frames.append(known[content])


def _frame(text: str, number: int) -> Frame:
    match = _FRAME.fullmatch(text)
    if match is None:
        raise JfrError(f"Line {number} is not a Java frame: {text[:80]!r}")
    line = int(match["line"]) if match["line"] else None
    return java_frame(f"{match['class']}.{match['method']}", line)


def java_frame(method: str, line: int | None) -> Frame:
    """The frame of a Java method, `shop.Till.open`, alike for whoever tells of it."""
    of, _, name = method.rpartition(".")
    of = _WRITTEN.sub("", of)
    return Frame(f"{of}.{name}", of, line, kind=FrameKind.JVM)
