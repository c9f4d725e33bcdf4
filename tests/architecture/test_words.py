"""One word, one thing. Enforces docs/architecture.md, "Words"."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import ROOT, modules, tree

# Names that may be defined more than once, each with its reason.
SHARED: dict[str, str] = {}


def nouns(path: Path) -> Iterator[str]:
    """The public classes and type aliases that a file defines.

    Not counted: type variables, and options of the command line (`Annotated`), which only its own
    file uses.
    """
    for node in tree(path).body:
        match node:
            case ast.ClassDef(name=name):
                noun = name
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if (
                "TypeAlias" in ast.unparse(annotation)
            ):
                noun = name
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_type(value):
                noun = name
            case _:
                continue
        if not noun.startswith("_") and (len(noun) == 1 or noun != noun.upper()):
            yield noun


def _is_type(value: ast.expr) -> bool:
    """Whether an assigned value is a type: `dict[str, int]`, `A | B`, or a NewType."""
    match value:
        case ast.Subscript(value=base):
            return ast.unparse(base) != "Annotated"
        case ast.BinOp(op=ast.BitOr()):
            return True
        case ast.Call(func=ast.Name(id="NewType")):
            return True
    return False


def test_every_class_and_alias_name_means_one_thing_in_the_whole_package() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in modules():
        for noun in set(nouns(path)):
            places[noun].append(str(path.relative_to(ROOT)))
    assert len(places) > 100, "the package has more nouns than that: they were not read"
    wrong = [
        f"{noun}: {', '.join(files)}"
        for noun, files in sorted(places.items())
        if len(files) > 1 and noun not in SHARED
    ]
    assert not wrong, "\n".join(wrong)
    assert set(SHARED) <= {noun for noun, files in places.items() if len(files) > 1}


def test_classes_and_aliases_are_read_and_options_and_variables_are_not(tmp_path: Path) -> None:
    file = tmp_path / "nouns.py"
    file.write_text(
        "class A: ...\nclass _B: ...\nC: TypeAlias = int\nD = dict[str, int]\nE = A | None\n"
        "F = Annotated[str, 1]\nG = TypeVar('G')\nHhh = NewType('Hhh', int)\nLIMITS = D[1]\n"
    )
    assert list(nouns(file)) == ["A", "C", "D", "E", "Hhh"]
