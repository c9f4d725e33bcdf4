"""Reader of scalene's JSON: its stacks where it kept them, else the lines it charged."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance
from perfhunt.model.inside.look import LineUse
from perfhunt.model.profile import MOST_FRAMES, Frame, Profile, Stack
from perfhunt.model.profiles.readers.foreign import profile_of, shaped, which

_WHAT = "the scalene profile"
_SAMPLES, _SECONDS, _LINES = "samples", "seconds", "lines"
_MIB = float(1 << 20)  # bytes of what scalene calls MB
_FRAME = re.compile(r"(?P<file>.*) (?P<function>\S+):(?P<line>[0-9]{1,9});?", re.DOTALL)


class ScaleneError(Unreadable):
    """The value is no profile of scalene; the message says what is wrong, and where."""


class _StackCount(msgspec.Struct):
    count: float
    cpu_samples: float  # seconds


class _Line(msgspec.Struct):
    lineno: int
    n_malloc_mb: float = 0.0
    n_copy_mb_s: float = 0.0
    n_cpu_percent_python: float = 0.0
    n_cpu_percent_c: float = 0.0
    n_sys_percent: float = 0.0
    start_function_line: int = 0


class _Function(msgspec.Struct):
    line: str  # its name
    lineno: int


class _Source(msgspec.Struct):
    lines: list[_Line] = []
    functions: list[_Function] = []


class _Scalene(msgspec.Struct):
    elapsed_time_sec: float
    files: dict[str, _Source]
    stacks: list[tuple[list[str], _StackCount]] = []


def is_scalene(value: Any) -> bool:
    """Whether a JSON value looks like one."""
    return isinstance(value, dict) and {"elapsed_time_sec", "files"} <= value.keys()


def read_scalene(value: Any, asked: str = "") -> Profile:
    """Its `samples` by stack (or `seconds`); `lines`, also where it has no stacks: CPU seconds by
    line, a stack of one frame each. Raises ScaleneError, Unreadable, UsageError.
    """
    read = shaped(value, _Scalene, _WHAT, ScaleneError)
    values = [_SAMPLES, _SECONDS, _LINES] if read.stacks else [_LINES]
    chosen = values[which(asked, values, 0)]
    notes = [f"read: {chosen} (--value {', '.join(values)})"]
    if chosen == _LINES:
        notes.append("scalene's lines have no callers: each is a stack of its own")
        stacks = _by_line(read)
    else:
        stacks = _by_stack(read, chosen)
    unit = _SAMPLES if chosen == _SAMPLES else _SECONDS
    seconds = _number(read.elapsed_time_sec, "the time it took")
    return profile_of("scalene", stacks, unit=unit, seconds=seconds, notes=notes)


def scalene_lines(value: Any) -> tuple[LineUse, ...]:
    """What each line used, the costliest first: shares of the time that scalene saw in any of its
    lines, bytes per second allocated and copied. Raises ScaleneError, Unreadable.
    """
    read = shaped(value, _Scalene, _WHAT, ScaleneError)
    seconds = _number(read.elapsed_time_sec, "the time it took")
    of_all = sum(
        line.n_cpu_percent_python + line.n_cpu_percent_c + line.n_sys_percent
        for source in read.files.values()
        for line in source.lines
    )
    lines = []
    for file, source in read.files.items():
        names = {function.lineno: function.line for function in source.functions}
        for line in source.lines:
            where = f"line {line.lineno} of {file[:80]}"
            parts = (line.n_cpu_percent_python, line.n_cpu_percent_c, line.n_sys_percent)
            python, native, system = (_number(part, where) / (of_all or 1.0) for part in parts)
            allocated = _number(line.n_malloc_mb, where) * _MIB
            copied = _number(line.n_copy_mb_s, where) * _MIB
            if python + native + system + allocated + copied <= 0:
                continue
            lines.append(
                LineUse(
                    file=file,
                    line=line.lineno if line.lineno > 0 else None,
                    function=names.get(line.start_function_line, "<module>").rpartition(".")[2],
                    python=python,
                    native=native,
                    system=system,
                    allocated=allocated / seconds if seconds else 0.0,
                    copied=copied,
                )
            )
    return tuple(sorted(lines, key=lambda line: line.cpu, reverse=True))


def _number(value: float, what: str) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise ScaleneError(f"{_WHAT} holds {value} for {what}: that is 0 or more")
    return value


def _by_stack(read: _Scalene, chosen: str) -> dict[Stack, float]:
    allowed = Allowance(MOST_FRAMES, "frames", _WHAT)
    stacks: dict[Stack, float] = {}
    for number, (texts, counted) in enumerate(read.stacks):
        allowed.take(len(texts) + 1)
        stack = tuple(_frame(text, number) for text in texts)
        weight = counted.count if chosen == _SAMPLES else counted.cpu_samples
        stacks[stack] = stacks.get(stack, 0.0) + _number(weight, f"stack {number}")
    return stacks


def _frame(text: str, number: int) -> Frame:
    match = _FRAME.fullmatch(text)
    if match is None:
        raise ScaleneError(f"{_WHAT}: stack {number} is not of `file function:line`: {text[:80]!r}")
    return Frame(match["function"], match["file"], int(match["line"]) or None)


def _by_line(read: _Scalene) -> dict[Stack, float]:
    stacks: dict[Stack, float] = {}
    for file, source in read.files.items():
        names = {function.lineno: function.line for function in source.functions}
        for line in source.lines:
            where = f"line {line.lineno} of {file[:80]}"
            parts = (line.n_cpu_percent_python, line.n_cpu_percent_c, line.n_sys_percent)
            share = sum(_number(part, where) for part in parts) / 100
            if share > 0:
                name = names.get(line.start_function_line, "<module>")
                stack = (Frame(name, file, line.lineno if line.lineno > 0 else None),)
                stacks[stack] = stacks.get(stack, 0.0) + share * read.elapsed_time_sec
    return stacks
