"""The services of the zoo say what the benchmark of the diagnosis believes of them. Enforces
CONTRIBUTING.md, "How to add" (a class of bottleneck).
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.source import ROOT
from tests.live.zoo.animals import Animal, Half
from tests.live.zoo.catalogue import ZOO

HOME = ROOT / "tests" / "live" / "zoo"
LEAST = 40  # services; of one in five of a half alone, a share would be a matter of luck


def source(animal: Animal) -> Path:
    """The program of a service: the word of its command that names a module in its folder."""
    words = {re.split(r"[:.]", word)[0] for word in animal.command}
    (found,) = [path for path in (HOME / animal.folder).glob("*.py") if path.stem in words]
    return found


def test_there_are_enough_of_them_in_both_halves_and_each_has_a_name_and_a_program() -> None:
    assert len(ZOO) >= LEAST
    assert len({animal.name for animal in ZOO}) == len(ZOO)
    for half in Half:
        assert sum(animal.half == half for animal in ZOO) >= LEAST / 3
    programs = {source(animal) for animal in ZOO}
    assert programs == set(HOME.glob("*/*.py"))


@pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
def test_its_program_names_the_culprit_and_can_be_mended(animal: Animal) -> None:
    text = source(animal).read_text()
    tree = ast.parse(text)
    said = " ".join((ast.get_docstring(tree) or "").split())
    assert animal.culprits[0] in said.partition("Culprit:")[2].partition("Decoy")[0]
    assert "render_page" in said.partition("Decoy")[2]
    functions = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name == animal.culprits[0]
    ]
    (culprit,) = functions
    decorated = any(ast.unparse(each) == "mendable" for each in culprit.decorator_list)
    assert decorated or f'MENDED != "{culprit.name}"' in text
