"""The source as the architecture tests read it: files, what they import, what they define."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "perfhunt"
SERVICE = PACKAGE / "demo" / "service"  # a program of its own, with its own import root
LOAD_CHILD = PACKAGE / "load" / "child"
# Runs in a process of the user's, which it must not end: what it catches, it reports there.
IN_A_SERVICE = PACKAGE / "profilers" / "inside" / "agent" / "sitecustomize.py"


@cache
def modules() -> tuple[Path, ...]:
    """The files of the package, without the demo's service."""
    files = sorted(p for p in PACKAGE.rglob("*.py") if not p.is_relative_to(SERVICE))
    assert files, f"no source under {PACKAGE}"
    return tuple(files)


@cache
def files_under(folder: str) -> tuple[Path, ...]:
    """The Python files under a folder of the repository."""
    files = tuple(sorted((ROOT / folder).rglob("*.py")))
    assert files, f"no Python file under {folder}"
    return files


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text())


def room_of(path: Path) -> str:
    """The package or top-level module a file of the package belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of every absolute import, wherever in the file it stands: a lazy import and one
    under TYPE_CHECKING count as well. `from a import b` gives `a.b`, whether b is a module or not.
    """
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def where(path: Path, line: int) -> str:
    """A place as editors open it."""
    return f"{path.relative_to(ROOT)}:{line}"
