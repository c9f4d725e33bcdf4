"""Which function a line of source belongs to."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import python_tree
from perfhunt.model.units import Bytes
from perfhunt.store.files import regular_bytes

_LARGEST: Bytes = 4 << 20  # of a source file that a person wrote
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def function_at(file: str, line: int) -> str:
    """The name of the innermost function around a line; "" where the file cannot be read or parsed,
    or no function is there.
    """
    spans = [(last - first, name) for name, first, last in _spans(file) if first <= line <= last]
    return min(spans)[1] if spans else ""


@lru_cache(maxsize=256)
def _spans(file: str) -> tuple[tuple[str, int, int], ...]:
    try:
        tree = python_tree(regular_bytes(Path(file), _LARGEST).decode(), file)
    except (OSError, ValueError, Unreadable):
        return ()
    nodes = (node for node in ast.walk(tree) if isinstance(node, _DEFINITIONS))
    return tuple((node.name, node.lineno, node.end_lineno or node.lineno) for node in nodes)
