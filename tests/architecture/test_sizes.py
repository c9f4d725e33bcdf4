"""What fits on a screen and into a head. Enforces docs/architecture.md, "Sizes"."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from tests.architecture.source import PACKAGE, ROOT, files_under, modules, tree, where

# Files of a folder, without its `__init__`: what a reader takes in at a glance when the folder is
# listed. Where there are more, a family among them gets a folder of its own.
MOST_FILES = 12
MOST_LINES = 400  # of a file
MOST_LINES_OF_A_FUNCTION = 60
DRAWERS = {"utils", "util", "helpers", "common", "misc"}


def test_no_folder_holds_more_files_than_are_taken_in_at_a_glance() -> None:
    counts = Counter(path.parent for path in modules() if path.name != "__init__.py")
    wrong = [
        f"{folder.relative_to(ROOT)}: {count} files, at most {MOST_FILES}"
        for folder, count in counts.items()
        if count > MOST_FILES
    ]
    assert PACKAGE in counts
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("folder", ["perfhunt", "tests", "scripts"])
def test_files_stay_short_enough_to_read(folder: str) -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in files_under(folder)}
    wrong = [
        f"{path.relative_to(ROOT)}: {lines} lines, at most {MOST_LINES}"
        for path, lines in lengths.items()
        if lines > MOST_LINES
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("folder", ["perfhunt", "tests", "scripts"])
def test_functions_stay_short_enough_to_read(folder: str) -> None:
    lengths = {
        f"{where(path, node.lineno)}: {node.name}": (node.end_lineno or node.lineno)
        - node.lineno
        + 1
        for path in files_under(folder)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert lengths
    wrong = [
        f"{function} has {lines} lines, at most {MOST_LINES_OF_A_FUNCTION}"
        for function, lines in lengths.items()
        if lines > MOST_LINES_OF_A_FUNCTION
    ]
    assert not wrong, "\n".join(wrong)


def test_no_file_is_a_drawer() -> None:
    assert not [path for path in modules() if path.stem.strip("_") in DRAWERS]
