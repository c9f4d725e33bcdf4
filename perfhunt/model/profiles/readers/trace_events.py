"""Reader of Chrome's trace events: complete ones (X), and those that begin and end (B, E).

Source: "Trace Event Format", Google, section "Event Descriptions".
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance
from perfhunt.model.profile import MOST_FRAMES, Frame, FrameKind, Profile, Stack
from perfhunt.model.profiles.readers.folded import of_others
from perfhunt.model.profiles.readers.foreign import kind_of, only_value, profile_of, shaped

_WHAT = "the trace"
_UNIT = "microseconds"
_ROUNDING = 1_000  # nanoseconds: most tools write no part of a microsecond
_NANOSECONDS = 1_000  # in a microsecond, which times are in


class TraceError(Unreadable):
    """The value is no list of trace events; the message says what is wrong, and where."""


class _TraceEvent(msgspec.Struct):
    ph: str
    name: str = ""
    ts: float = 0.0
    dur: float = 0.0
    pid: int | str = 0
    tid: int | str = 0
    args: Any = None


class _Trace(msgspec.Struct):
    traceEvents: list[_TraceEvent]


_Thread = tuple[int | str, int | str]


def is_trace(value: Any) -> bool:
    """Whether a JSON value is such a list, alone or in an object."""
    events = value.get("traceEvents") if isinstance(value, dict) else value
    return isinstance(events, list) and all(isinstance(e, dict) and "ph" in e for e in events[:9])


def read_trace(value: Any, asked: str = "") -> Profile:
    """Time by stack, in microseconds, each thread below its name where there are several. Raises
    TraceError for events that do not nest, Unreadable for more than is read.
    """
    only_value(asked, _UNIT)
    plain = value if isinstance(value, dict) else {"traceEvents": value}
    events = shaped(plain, _Trace, _WHAT, TraceError).traceEvents
    threads: dict[_Thread, list[tuple[int, _TraceEvent]]] = defaultdict(list)
    for number, event in enumerate(events):
        if event.ph in ("X", "B", "E"):
            _check(event, number)
            threads[event.pid, event.tid].append((number, event))
    names = {
        (event.pid, event.tid): str(event.args.get("name", ""))
        for event in events
        if event.ph == "M" and event.name == "thread_name" and isinstance(event.args, dict)
    }
    allowed = Allowance(MOST_FRAMES, "frames", _WHAT)
    stacks: dict[Stack, float] = {}
    cut = 0
    for thread, own in threads.items():
        top = (Frame(_label(thread, names), kind=FrameKind.THREAD),) if len(threads) > 1 else ()
        cut += _add_thread(stacks, own, top, allowed)
    left = Counter(event.ph for event in events if event.ph not in ("X", "B", "E", "M"))
    notes = [
        f"{n:,} events of type {ph[:10]} left out: they have no place on a stack"
        for ph, n in left.items()
    ]
    if cut:
        notes.append(f"{cut:,} calls end after their callers: what is beyond is left out")
    return profile_of("trace events", stacks, unit=_UNIT, notes=notes)


def _check(event: _TraceEvent, number: int) -> None:
    if not (math.isfinite(event.ts + event.dur) and event.dur >= 0):
        raise TraceError(f"{_WHAT}: event {number} has no time that can be")


def _label(thread: _Thread, names: Mapping[_Thread, str]) -> str:
    name = names.get(thread, "")
    return f"thread ({thread[1]}): {name}" if name else f"thread ({thread[1]})"


def _frame(event: _TraceEvent) -> Frame:
    args = event.args if isinstance(event.args, dict) else {}
    file, line = args.get("filename"), args.get("line")
    if not isinstance(file, str) or not file:  # VizTracer: `main (work.py:22)`
        return of_others(event.name)
    line = line if isinstance(line, int) and line > 0 else None
    return Frame(event.name, file, line, kind_of(file))


def _add_thread(
    stacks: dict[Stack, float],
    events: Sequence[tuple[int, _TraceEvent]],
    top: Stack,
    allowed: Allowance,
) -> int:
    """Add the own time of every call: until the next event, or its end. How many calls ended after
    their callers, by more than rounding. Times are compared as whole nanoseconds: sums of parts of
    microseconds would put what follows a call within it.
    """
    cut = 0
    opened: list[tuple[Frame, float]] = []  # with its end; infinity: an E ends it
    at = -math.inf

    def until(time: float) -> None:
        nonlocal at
        if opened and time > at:
            allowed.take(len(opened))
            stack = (*top, *(frame for frame, _ in opened))
            stacks[stack] = stacks.get(stack, 0.0) + (time - at) / _NANOSECONDS
        at = max(at, time)

    def close(time: float) -> None:
        while opened and opened[-1][1] <= time:
            until(opened[-1][1])
            opened.pop()

    # Of events at one time, what ends goes first, then the longest: it is around the others.
    for number, event in sorted(events, key=_order):
        begins, lasts = round(event.ts * _NANOSECONDS), round(event.dur * _NANOSECONDS)
        close(begins)
        until(begins)
        if event.ph == "E":
            while opened and opened[-1][1] < math.inf:  # It is within what ends here.
                cut += opened[-1][1] - begins > _ROUNDING
                opened.pop()
            if not opened:
                raise TraceError(
                    f"{_WHAT}: event {number} ends ({event.name[:60]!r}) what none began"
                )
            opened.pop()
            continue
        end = begins + lasts if event.ph == "X" else math.inf
        while opened and opened[-1][1] < end and event.ph == "X":
            if _follows(opened[-1][1], begins, end):
                opened.pop()
                continue
            cut += end - opened[-1][1] > _ROUNDING
            end = opened[-1][1]
        opened.append((_frame(event), end))
    close(math.nextafter(math.inf, 0))
    if opened:
        raise TraceError(f"{_WHAT}: {opened[-1][0].function[:60]!r} begins and does not end")
    return cut


def _follows(ended: float, begins: float, ends: float) -> bool:
    """Whether a call that begins before another ended comes after it, but for rounding."""
    return ended - begins <= _ROUNDING and ends - ended > ended - begins


def _order(numbered: tuple[int, _TraceEvent]) -> tuple[float, int, float, int]:
    number, event = numbered
    if event.ph == "X":
        return (event.ts, 1, -event.dur, number)
    return (event.ts, 0, 0.0, number)
