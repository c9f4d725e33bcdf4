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
from perfhunt.model.units import Seconds

# What ran: as a clock of the recorder's looked at a few threads, and by the CPU time that each
# thread used.
EVENT, CPU_TIME_EVENT = "jdk.ExecutionSample", "jdk.CPUTimeSample"
_FRAME = re.compile(
    r"(?P<class>[^()]+)\.(?P<method>[^.()]+)\((?P<arguments>.*?)\)(?:\s+line:\s*(?P<line>[0-9]{1,9}))?"
)
_WHAT = "what jfr printed"
# When every thread stood still for the collector; and one of the times that memory was taken, with
# how much that stands for.
PAUSE_EVENT, ALLOCATION_EVENT = "jdk.GCPhasePause", "jdk.ObjectAllocationSample"
# Possessive, and never begun inside of a number: a long one is looked at once.
_QUANTITY = re.compile(r"(?<![0-9.,])([0-9]++(?:[.,][0-9]++)?)\s*+([A-Za-z]+)\b")
_LONGEST_QUANTITY = 100  # characters
_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_BYTES = {"bytes": 1.0, "byte": 1.0, "kB": 2.0**10, "MB": 2.0**20, "GB": 2.0**30}


# Classes that the JVM writes at run time end in a number and an address, of this process only.
_WRITTEN = re.compile(r"(?:\$[0-9]+)?[/+](?:0x)?[0-9a-f]+(?:\.[0-9]+)?$")


class JfrError(Unreadable):
    """A line was not what `jfr print` prints; the message holds its number."""


@dataclass(frozen=True, slots=True)
class _Event:
    """What `jfr print` prints of an event: what it is of, its fields as text, its stack, if any,
    and whether that was cut.
    """

    of: str
    fields: Mapping[str, str]
    stack: Stack
    cut: bool


def parse_jfr_print(text: str | Iterable[str]) -> tuple[dict[Stack, float], int]:
    """(stacks to samples, stacks that were cut) of the text of `CPU_TIME_EVENT`, or of `EVENT`
    where there is none of those, or of its lines. Raises JfrError, or Unreadable for more than is
    read.
    """
    stacks: dict[str, Counter[Stack]] = {CPU_TIME_EVENT: Counter(), EVENT: Counter()}
    cut: Counter[str] = Counter()
    for event in _events(text):
        if event.of in stacks and event.stack:
            stacks[event.of][event.stack] += 1
            cut[event.of] += event.cut
    used = CPU_TIME_EVENT if stacks[CPU_TIME_EVENT] else EVENT
    return dict(stacks[used]), cut[used]


def sampled_threads(text: str | Iterable[str]) -> Counter[str]:
    """How many samples are of a thread, by its name, of those that `parse_jfr_print` takes. Raises
    as that.
    """
    threads: dict[str, Counter[str]] = {CPU_TIME_EVENT: Counter(), EVENT: Counter()}
    for event in _events(text):
        if event.of in threads and event.stack:
            thread = event.fields.get("sampledThread") or event.fields.get("eventThread", "")
            threads[event.of][thread.removeprefix('"').rpartition('" (')[0]] += 1
    return threads[CPU_TIME_EVENT] or threads[EVENT]


def is_jfr_print(text: str) -> bool:
    """Whether a text begins as `jfr print` prints an event."""
    return text.lstrip().startswith((f"{EVENT} {{", f"{CPU_TIME_EVENT} {{"))


def read_jfr_print(lines: Iterable[str], asked: str = "") -> Profile:
    """The samples of what ran, one each. Raises JfrError, Unreadable for more than is read."""
    only_value(asked, "samples")
    stacks, cut = parse_jfr_print(lines)
    notes = [f"{cut:,} stacks are deeper than was recorded and lack their roots"] if cut else []
    return profile_of("jfr", stacks, notes=notes)


@dataclass(frozen=True, slots=True)
class Collections:
    """What a recording tells of the collector: how often and for how long altogether every thread
    stood still for it, and by which stacks the memory was taken that it collects, in bytes.
    """

    pauses: int
    paused: Seconds
    allocated: Mapping[Stack, float]


def parse_collections(text: str | Iterable[str]) -> Collections:
    """What the text of `PAUSE_EVENT` and `ALLOCATION_EVENT` says, or its lines. Raises JfrError, or
    Unreadable for more than is read.
    """
    pauses, paused = 0, 0.0
    allocated: dict[Stack, float] = {}
    for event in _events(text):
        if event.of == PAUSE_EVENT:
            pauses += 1
            paused += _quantity(event.fields.get("duration", ""), _SECONDS)
        elif event.of == ALLOCATION_EVENT and event.stack:
            weight = _quantity(event.fields.get("weight", ""), _BYTES)
            allocated[event.stack] = allocated.get(event.stack, 0.0) + weight
    return Collections(pauses, paused, allocated)


def _quantity(text: str, units: Mapping[str, float]) -> float:
    """`1 m 3.5 s` or `71.9 kB`, as the JDK prints a time or a size, in any locale's decimals."""
    parts = _QUANTITY.findall(text[:_LONGEST_QUANTITY])
    return sum(float(number.replace(",", ".")) * units.get(unit, 0.0) for number, unit in parts)


def _events(text: str | Iterable[str]) -> Iterator[_Event]:
    """The events, one after the other."""
    allowed = Allowance(MOST_DIFFERENT_FRAMES, "different frames", _WHAT)
    of, fields, cut = "", dict[str, str](), False
    stack: Stack = ()
    known: dict[str, Frame] = {}
    frames: list[Frame] | None = None
    for number, line in numbered(text, _WHAT):
        content = line.strip()
        if frames is None:
            if content == "stackTrace = [":
                frames, cut = [], False
            elif content.endswith("{") and not line.startswith(" "):
                of, fields, stack, cut = content.removesuffix("{").strip(), {}, (), False
            elif content == "}" and of and not line.startswith(" "):
                yield _Event(of, fields, stack, cut)
                of = ""
            elif " = " in content:
                name, _, value = content.partition(" = ")
                fields[name] = value
        elif content == "]":
            stack, frames = tuple(reversed(frames)), None
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
