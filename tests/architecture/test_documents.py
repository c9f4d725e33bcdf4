"""Every architecture test names the section that it enforces. Enforces docs/style.md, "Tests"."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, files_under, tree

TESTS = [path for path in files_under("tests/architecture") if path.name.startswith("test_")]
SECTION = re.compile(r'([\w/]+\.md), "([^"]+)"')


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_the_sections_a_test_names_are_there(path: Path) -> None:
    named = SECTION.findall(ast.get_docstring(tree(path)) or "")
    assert named, f"{path.name} does not say which section of which document it enforces"
    for document, heading in named:
        headings = re.findall(r"^#+ (.+)$", (ROOT / document).read_text(), re.MULTILINE)
        assert heading in headings, f"{document} has no section {heading!r}"
