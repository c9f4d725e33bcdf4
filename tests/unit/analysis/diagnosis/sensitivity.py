"""How far a threshold of the rules can move before a decision flips."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import chain

import pytest

from perfhunt.analysis.diagnosis import classify, rules
from perfhunt.analysis.diagnosis.features import Features

# Each threshold is moved by such parts of itself, down and up, until a decision flips.
MOVES = (0.1, 0.2, 0.3, 0.5)


def tables() -> Iterator[tuple[object, str, object]]:
    """(module, name in it, table of thresholds) of every rule, and of when a score is an answer."""
    names = [f"{rules.__name__}.{each.name}" for each in pkgutil.iter_modules(rules.__path__)]
    for module in (*map(importlib.import_module, names), classify):
        for name, value in vars(module).items():
            own = getattr(type(value), "__module__", "") == module.__name__
            if own and is_dataclass(value) and not isinstance(value, type) and name.isupper():
                yield module, name, value


def flips(decided: Mapping[str, Features]) -> dict[str, tuple[float, Sequence[str]]]:
    """By threshold, the smallest move that flips a decision about one of these, and which ones;
    thresholds that stand all moves are left out.
    """
    usual = {name: _class_of(features) for name, features in decided.items()}
    found: dict[str, tuple[float, Sequence[str]]] = {}
    for module, name, table in tables():
        for key, part, moved in _moves(table):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(module, name, moved)
                flipped = [n for n, seen in decided.items() if _class_of(seen) != usual[n]]
            if flipped and part < found.get(f"{name}.{key}", (1.0, ()))[0]:
                found[f"{name}.{key}"] = (part, flipped)
    return found


def _class_of(features: Features) -> str:
    return str(classify.decide(classify.scores_of(features)).category)


def _moves(table: object) -> Iterator[tuple[str, float, object]]:
    """(field, how far it moved, the table with it moved)."""
    for field in fields(table):  # type: ignore[arg-type]
        value = getattr(table, field.name)
        for part in MOVES:
            for factor in (1 - part, 1 + part):
                scaled = (
                    tuple(_moved(v, factor) for v in value)
                    if isinstance(value, tuple)
                    else _moved(value, factor)
                )
                yield field.name, part, replace(table, **{field.name: scaled})  # type: ignore[type-var]


def _moved(value: float, factor: float) -> float:
    """The value times a factor; a share stays one, so up it goes half of the way to 1 at most."""
    return min(value * factor, (1 + value) / 2) if value < 1 else value * factor


def count() -> int:
    """How many thresholds there are."""
    return len(list(chain.from_iterable(fields(t) for _, _, t in tables())))  # type: ignore[arg-type]
