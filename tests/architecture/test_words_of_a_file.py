"""What a file says of itself. Enforces docs/style.md, "Words of a file"."""

from __future__ import annotations

import ast

from tests.architecture.source import modules, tree, where


def test_every_module_says_what_it_is() -> None:
    wrong = [where(path, 1) for path in modules() if not ast.get_docstring(tree(path))]
    assert not wrong, "\n".join(wrong)


def test_every_public_class_and_function_says_what_the_caller_gets() -> None:
    wrong = [
        f"{where(path, node.lineno)}: {node.name}"
        for path in modules()
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert not wrong, "\n".join(wrong)
