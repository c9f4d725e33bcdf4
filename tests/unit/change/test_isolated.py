"""Files that hang, fill or crash their reader count as one edit; the others are read."""

from __future__ import annotations

import time

import pytest

from perfhunt.change.isolated import read_apart
from perfhunt.change.paths import Role, role_of
from perfhunt.change.readers.texts import FileTexts, together
from perfhunt.model.verdict.change import Kind


def whole_notes(*files: FileTexts) -> tuple[list[str], tuple[str, ...]]:
    """(names of the atoms, notes) of files that are read together."""
    by_role: dict[Role, list[FileTexts]] = {}
    for file in files:
        by_role.setdefault(role_of(file.path), []).append(file)
    read = together(read_apart(by_role, ()))
    return [atom.name for atom in read.atoms], read.notes


GOOD = FileTexts("good.py", "def f():\n    return 1\n", "def f():\n    return 2\n")
DEEP = FileTexts("deep.py", None, "def g():\n    return a" + ".b()" * 6000 + "\n")
SLOW = FileTexts("slow.py", None, "x = 1\n" * 60_000)


def test_one_file_that_cannot_be_read_costs_the_others_nothing() -> None:
    names, notes = whole_notes(GOOD, DEEP)
    assert names == ["f", "module-level text"]
    (note,) = notes
    assert note.startswith("deep.py ") and "counts as one edit" in note


def test_a_file_that_takes_too_long_is_ended_and_counts_as_one_edit() -> None:
    began = time.monotonic()
    names, notes = whole_notes(SLOW)
    assert names == ["module-level text"]
    assert "takes more time" in notes[0]
    assert time.monotonic() - began < 60.0


@pytest.mark.parametrize("name", ["caf\udce9.json", "ünï.json"])
def test_names_and_texts_that_are_no_utf_8_come_back_as_they_were(name: str) -> None:
    edit = FileTexts(name, '{"\udce9": 1}', '{"\udce9": 2}')
    read = together(read_apart({Role.CONFIG: [edit]}, ()))
    assert [(atom.file, atom.name) for atom in read.atoms] == [(name, "\udce9")]


def test_a_long_sum_is_read_and_not_refused() -> None:
    text = "TOTAL = " + " + ".join(f"a{i}" for i in range(1500)) + "\n"
    names, notes = whole_notes(FileTexts("sum.py", text, text.replace("a7 ", "b7 ")))
    assert (names, notes) == (["TOTAL"], ())


def test_what_is_not_code_keeps_its_kind() -> None:
    texts = FileTexts("a.json", None, "[" * 100_000)
    (atom,) = together(read_apart({Role.CONFIG: [texts]}, ())).atoms
    assert atom.kind is Kind.CONFIG
