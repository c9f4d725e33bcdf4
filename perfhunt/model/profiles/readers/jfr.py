"""Reader of `jfr print`: the JDK's own text of a flight recording."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance, numbered
from perfhunt.model.profile import MOST_DIFFERENT_FRAMES, Frame, FrameKind, LockWait, Profile, Stack
from perfhunt.model.profiles.readers.foreign import only_value, profile_of
from perfhunt.model.units import Seconds

EVENT = "jdk.ExecutionSample"
_FRAME = re.compile(
    r"(?P<class>[^()]+)\.(?P<method>[^.()]+)\((?P<arguments>.*?)\)(?:\s+line:\s*(?P<line>[0-9]{1,9}))?"
)
_WHAT = "what jfr printed"


# Waits of a thread to have a monitor, or to go on after it parked.
MONITOR_EVENT, PARK_EVENT = "jdk.JavaMonitorEnter", "jdk.ThreadPark"
# What threads park for that wait to have something; others wait for work, or for a time.
_PARKED_FOR: Mapping[str, str] = {
    "java.util.concurrent.locks.ReentrantLock": "lock",
    "java.util.concurrent.locks.ReentrantReadWriteLock": "lock",
    "java.util.concurrent.locks.StampedLock": "lock",
    "java.util.concurrent.Semaphore": "pool",
}
# Possessive, and never begun inside of a number: a long one is looked at once.
_DURATION = re.compile(r"(?<![0-9.,])([0-9]++(?:[.,][0-9]++)?)\s*+(ns|us|ms|s|min|m|h)\b")
_LONGEST_DURATION = 100  # characters
_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


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


def parse_lock_waits(text: str | Iterable[str], seconds: Seconds) -> tuple[LockWait, ...]:
    """Who waited for locks, from the text of `MONITOR_EVENT` and `PARK_EVENT` over so many seconds,
    or its lines. Raises JfrError, or Unreadable for more than is read.
    """
    waited: Counter[tuple[Stack, str]] = Counter()
    times: dict[tuple[Stack, str], Seconds] = {}
    for event in _events(text):
        if of := _kind(event.fields):
            key = event.stack, of
            waited[key] += 1
            times[key] = times.get(key, 0.0) + _seconds(event.fields.get("duration", ""))
    return tuple(LockWait(*key, times[key] / seconds, n) for key, n in waited.items())


def _kind(fields: Mapping[str, str]) -> str:
    """`lock`, `pool`, or "" for a wait that is none for something others have."""
    if "monitorClass" in fields:
        return "lock"
    parked = fields.get("parkedClass", "").split(" ")[0].partition("$")[0]
    return _PARKED_FOR.get(parked, "")


def _seconds(text: str) -> Seconds:
    """`1 m 3.5 s`, as the JDK prints a time, in any locale's decimals."""
    parts = _DURATION.findall(text[:_LONGEST_DURATION])
    return sum(float(number.replace(",", ".")) * _SECONDS[unit] for number, unit in parts)


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
    return Frame(f"{match['class']}.{match['method']}", match["class"], line, kind=FrameKind.JVM)
