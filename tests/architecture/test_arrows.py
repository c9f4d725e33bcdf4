"""Imports point down. Enforces docs/architecture.md, "Arrows"."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.architecture.source import (
    PACKAGE,
    ROOT,
    SERVICE,
    files_under,
    imports,
    modules,
    room_of,
    tree,
    where,
)

# Lower rows first. A module may import its own room and any lower row; rooms of one row do not know
# each other.
ROWS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "version"}),
    frozenset({"model"}),
    frozenset({"analysis"}),
    frozenset({"target", "store"}),
    frozenset({"load", "profilers", "change", "reports", "safety", "demo"}),
    frozenset({"testing"}),
    frozenset({"lab"}),
    frozenset({"stories"}),
    frozenset({"jobs"}),
    frozenset({"cli", "api"}),
    frozenset({"__main__"}),
)
LEVEL = {name: level for level, names in enumerate(ROWS) for name in names}

# The subpackages of each room that has several, as chains: each may import those named before it in
# its own chain, and none of another chain. Where there is an order, the room's `__init__` says it
# in words.
CHAINS: dict[str, tuple[tuple[str, ...], ...]] = {
    "analysis": (("trial", "knee", "blame", "diagnosis", "change", "verdict", "gate"),),
    "analysis/diagnosis": (
        ("known", "rules", "answer"),
        ("known", "prediction"),
        ("known", "waterfall"),
    ),
    "analysis/knee": (("curve", "stages", "answers"),),
    "change": (("git",), ("readers",)),
    "change/readers": (("packages",), ("schema",), ("settings", "python"), ("treesitter",)),
    "cli": (("view", "verbs"),),
    "cli/verbs": (("stored",), ("gate",)),
    "jobs": (("stored", "ci", "verify", "gate"), ("bench",), ("profiles",), ("launched",)),
    "load": (("trust", "programs", "child"),),
    "load/child": (
        ("bounds", "http", "users"),
        ("bounds", "http", "programs"),
        ("bounds", "fleet"),
    ),
    "model": (
        ("text", "traffic", "inside", "verdict", "document", "profiles", "testfile", "recorded"),
    ),
    "model/profiles": (("readers",), ("writers",)),
    "model/recorded": (("openapi",), ("k6",)),
    "profilers": (
        ("go", "native", "perf", "tokio"),
        ("cpython", "remote"),
        *((name,) for name in ("py_spy", "native", "node", "jvm", "inside")),
    ),
    "reports": (("requests", "pictures", "html", "ci"),),
    "target": (("proc", "binary", "code", "resources", "host"),),
}

PROGRAMS = {  # each has its own import root
    "perfhunt": ROOT,
    "tests": ROOT,
    "scripts": ROOT / "scripts",
    "perfhunt/demo/service": SERVICE,
}


def test_every_room_of_the_package_has_its_row() -> None:
    assert {room_of(path) for path in modules()} - {"__init__"} == set(LEVEL)


def test_imports_point_down_and_neighbours_do_not_know_each_other() -> None:
    wrong = []
    for path in modules():
        mine = room_of(path)
        for line, name in imports(path):
            top, _, rest = name.partition(".")
            theirs = rest.partition(".")[0]
            if top != "perfhunt" or theirs == mine or mine == "__init__" or theirs not in LEVEL:
                continue
            if LEVEL[theirs] >= LEVEL[mine]:
                wrong.append(f"{where(path, line)}: {mine} imports {name}")
    assert not wrong, "\n".join(wrong)


def subpackages(room: Path) -> set[str]:
    return {path.parent.name for path in room.glob("*/__init__.py")}


def test_every_room_with_several_subpackages_has_their_order() -> None:
    rooms = {path.parent for path in modules() if path.name == "__init__.py"} - {PACKAGE}
    several = {
        str(room.relative_to(PACKAGE)): subpackages(room)
        for room in rooms
        if len(subpackages(room)) > 1
    }
    assert several == {
        room: {name for c in chains for name in c} for room, chains in CHAINS.items()
    }


@pytest.mark.parametrize("room", CHAINS)
def test_the_order_stands_in_the_rooms_own_init(room: str) -> None:
    promise = ast.get_docstring(tree(PACKAGE / room / "__init__.py")) or ""
    ordered = [name for chain in CHAINS[room] if len(chain) > 1 for name in chain]
    unnamed = [name for name in ordered if not re.search(rf"\b{name}\b", promise)]
    assert not unnamed, f"{room}/__init__.py says nothing of {', '.join(unnamed)}"


@pytest.mark.parametrize("room", CHAINS)
def test_the_subpackages_of_a_room_import_one_way_only(room: str) -> None:
    wrong = []
    for chain in CHAINS[room]:
        for position, mine in enumerate(chain):
            allowed = {*chain[: position + 1]}
            for path in files_under(f"perfhunt/{room}/{mine}"):
                wrong += [
                    f"{where(path, line)}: {mine} imports {name}"
                    for line, name in imports(path)
                    if _subpackage(room, name) not in {"", *allowed}
                ]
    assert not wrong, "\n".join(wrong)


def _subpackage(room: str, name: str) -> str:
    """The subpackage of the room that an import is of; "" when it is of none."""
    prefix = f"perfhunt.{room.replace('/', '.')}."
    first = name.removeprefix(prefix).partition(".")[0]
    return first if name.startswith(prefix) and first in subpackages(PACKAGE / room) else ""


def import_graph(folder: str, root: Path) -> dict[str, set[str]]:
    """Each file under the folder and the files there that it imports, by path from the root."""
    names = {_module(path, root): path for path in files_under(folder)}
    names = {n: p for n, p in names.items() if folder != "perfhunt" or p in modules()}
    return {
        str(path.relative_to(root)): {
            str(names[imported].relative_to(root))
            for _, name in imports(path)
            if (imported := name if name in names else name.rpartition(".")[0]) in names
            and names[imported] != path
        }
        for path in names.values()
    }


def _module(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def circles(graph: dict[str, set[str]]) -> Iterator[list[str]]:
    """Circles of imports; each is cut once it is told, so that the others are found too."""
    left = {name: sorted(graph[name]) for name in sorted(graph)}
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1]  # each is imported by the next
            yield circle
            left[circle[1]].remove(circle[0])
        else:
            return


@pytest.mark.parametrize("folder", PROGRAMS)
def test_no_two_files_import_each_other_in_a_circle(folder: str) -> None:
    graph = import_graph(folder, PROGRAMS[folder])
    assert any(graph.values()), "no file imports another: the graph was not read"
    found = [" > ".join(reversed(circle)) for circle in circles(graph)]
    assert not found, "\n".join(found)


def test_a_circle_would_be_told() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"d2"}, "d2": {"d"}}
    assert len(list(circles(graph))) == 2
