"""Which function a line of source belongs to."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import python_tree
from perfhunt.model.inside.look import LineUse
from perfhunt.model.units import Bytes
from perfhunt.store.files import regular_bytes

_LARGEST: Bytes = 4 << 20  # of a source file that a person wrote
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def function_at(file: str, line: int) -> str:
    """The innermost function around a line, with what it is defined in: `Shop.price`; "" where the
    file cannot be read or parsed, or no function is there.
    """
    spans = [(last - first, name) for name, first, last in _spans(file) if first <= line <= last]
    return min(spans)[1] if spans else ""


def named_by_source(lines: Iterable[LineUse]) -> tuple[LineUse, ...]:
    """The lines with the functions that their files have there, where those can be read."""
    return tuple(
        replace(each, function=function_at(each.file, each.line or 0) or each.function)
        for each in lines
    )


@lru_cache(maxsize=256)
def _spans(file: str) -> tuple[tuple[str, int, int], ...]:
    try:
        tree = python_tree(regular_bytes(Path(file), _LARGEST).decode(), file)
    except (OSError, ValueError, Unreadable):
        return ()
    return tuple(_within(tree, ""))


def _within(node: ast.AST, outer: str) -> Iterator[tuple[str, int, int]]:
    for child in ast.iter_child_nodes(node):
        name = outer
        if isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
            name = f"{outer}.{child.name}".lstrip(".")
        if isinstance(child, _FUNCTIONS):
            yield name, child.lineno, child.end_lineno or child.lineno
        yield from _within(child, name)
