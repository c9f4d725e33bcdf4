"""tracemalloc: the lines whose allocations stay, window after window of the same load."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from perfhunt.errors import AttachFailed
from perfhunt.model.inside.look import InsideTool, LineUse
from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Bytes, Seconds, Share
from perfhunt.profilers.inside.enclosing import function_at
from perfhunt.profilers.inside.talk import ask, with_agent
from perfhunt.profilers.inside.tool import Sight
from perfhunt.target.launch import ServiceCommand

# A leak grows in each window by at least so much of its mean growth: what is in flight comes and
# goes, a cache that fills slows down.
_EVENLY: Share = 0.5
_LEAST: Bytes = 16 << 10  # kept in all: less is the interpreter's own book-keeping
_MOST = 20  # lines told, those that keep most first
_Rows = dict[tuple[str, int], int]  # file and line -> bytes held


class TracemallocProfiler:
    """Watches memory from inside; every process of the service is added up."""

    name: ClassVar[InsideTool] = InsideTool.TRACEMALLOC
    help: ClassVar[str] = "which lines keep memory, more with every request"
    share: ClassVar[Share] = 0.1  # a loop of plain Python takes 14 times as long under it
    windows: ClassVar[int] = 3
    grace: ClassVar[Seconds] = 3.0

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._held: list[_Rows] = []

    def under(self, command: ServiceCommand) -> ServiceCommand:
        """It is in every Python."""
        return with_agent(command, self.name, self._directory)

    def begin(self, target: TargetProcess) -> None:
        """What is allocated from now on is followed."""
        ask(self._directory, "begin")

    def mark(self) -> None:
        """What is held after a window."""
        self._held.append(_summed(ask(self._directory, "mark")))

    def take(self) -> None:
        """Nothing more: the last window was marked."""

    def sight(self, completed: float, seconds: Seconds) -> Sight:
        """The lines that keep most, and which of them do in every window."""
        lines = sorted(_growth(self._held), key=lambda line: -sum(line.held))
        missing = "" if lines else "no line kept memory that it had not before"
        return Sight(tuple(lines[:_MOST]), missing=missing)


def _summed(answers: Iterable[Any]) -> _Rows:
    held: _Rows = {}
    try:
        for rows in msgspec.convert(answers, list[list[tuple[list[tuple[str, int]], int]]]):
            for frames, size in rows:
                place = frames[-1]
                held[place] = held.get(place, 0) + size
    except (msgspec.ValidationError, IndexError) as error:
        raise AttachFailed(f"what tracemalloc saw cannot be read: {error}") from error
    return held


def _growth(held: Sequence[_Rows]) -> Iterable[LineUse]:
    places = {place for rows in held for place in rows}
    for place in places:
        levels = [0, *(rows.get(place, 0) for rows in held)]
        grown = tuple(after - before for before, after in pairwise(levels))
        if sum(grown) < _LEAST:
            continue
        file, line = place
        yield LineUse(
            file=file, line=line, function=function_at(file, line), held=grown, leak=_leaks(grown)
        )


def _leaks(grown: Sequence[Bytes]) -> bool:
    mean = sum(grown) / len(grown)
    return all(each >= _EVENLY * mean for each in grown)
