"""How far each threshold of the diagnosis can move before an answer on the kept captures does."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any
from unittest.mock import patch

from diagnosis_record import Seen

DOWN, UP = (0.9, 0.75, 0.5), (1.1, 1.33, 2.0)  # times its value
ANALYSIS = "perfhunt.analysis."

Answers = dict[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number of one of the tables that decide."""

    table: Any
    field: str

    @property
    def name(self) -> str:
        return f"{type(self.table).__name__}.{self.field}"

    @property
    def value(self) -> float:
        return float(getattr(self.table, self.field))


@dataclass(frozen=True, slots=True)
class Flip:
    """From where answers change; None: not within what was tried."""

    factor: float | None
    services: tuple[str, ...]

    def __str__(self) -> str:
        return f"x{self.factor:g}: {', '.join(self.services)}" if self.factor else "–"


def thresholds() -> list[Threshold]:
    """Every number of every table of thresholds that the diagnosis has."""
    tables = {id(table): table for _, _, table in _tables()}
    return [
        Threshold(table, f.name)
        for table in tables.values()
        for f in fields(table)
        if type(getattr(table, f.name)) in (int, float)
    ]


def _tables() -> Iterator[tuple[Any, str, Any]]:
    """Module, name and table, wherever a table is known by a name."""
    for module_name, module in sorted(sys.modules.items()):
        if module_name.startswith(ANALYSIS):
            for name, thing in vars(module).items():
                if is_dataclass(thing) and type(thing).__name__.endswith("Thresholds"):
                    yield module, name, thing


@contextmanager
def moved(threshold: Threshold, factor: float) -> Iterator[None]:
    """The threshold times a factor while the block lasts."""
    kind = type(getattr(threshold.table, threshold.field))
    other = replace(threshold.table, **{threshold.field: kind(threshold.value * factor)})
    with ExitStack() as patched:
        for module, name, table in list(_tables()):
            if table is threshold.table:
                patched.enter_context(patch.object(module, name, other))
        yield


def answers(captures: Mapping[str, Seen]) -> Answers:
    """The first function and the class of each."""
    found = {}
    for name, seen in captures.items():
        diagnosis = seen.diagnosis()
        first = diagnosis.findings[0].function if diagnosis.findings else ""
        found[name] = (first, str(diagnosis.bottleneck and diagnosis.bottleneck.category))
    return found


def flips(
    threshold: Threshold, factors: Sequence[float], captures: Mapping[str, Seen], usual: Answers
) -> Flip:
    """The factor nearest to 1 at which an answer is not the usual one, and of which services."""
    for factor in factors:
        with moved(threshold, factor):
            now = answers(captures)
        if changed := [name for name in captures if now[name] != usual[name]]:
            return Flip(factor, tuple(changed))
    return Flip(None, ())


def report(captures: Mapping[str, Seen]) -> dict[str, Any]:
    """Prints a row for each threshold that any answer hangs on; returns all of them."""
    print("| threshold | is | answers change when lower | when higher |\n|---|---|---|---|")
    usual, found = answers(captures), {}
    for threshold in thresholds():
        low, high = (flips(threshold, factors, captures, usual) for factors in (DOWN, UP))
        if low.factor or high.factor:
            print(f"| {threshold.name} | {threshold.value:g} | {low} | {high} |", flush=True)
        found[threshold.name] = {"value": threshold.value, "low": low.factor, "high": high.factor}
    return found
