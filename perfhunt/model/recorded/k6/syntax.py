"""The syntax tree of a script: nodes of tree-sitter, and what is asked of them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, TypeAlias

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import beyond

WHAT = "the k6 script"
_MIB = 1 << 20
_LARGEST = 4  # MiB: bundles with their libraries have one or two
_SHOWN = 40  # characters of an expression in a remark
Node: TypeAlias = Any  # of tree-sitter, whose types come with an optional package
# What stands around an expression and does not change it.
_AROUND = frozenset(
    {
        *("parenthesized_expression", "await_expression"),
        *("as_expression", "satisfies_expression", "non_null_expression"),
    }
)
FUNCTIONS = frozenset(
    {
        *("function_declaration", "function_expression", "arrow_function", "method_definition"),
        *("generator_function_declaration", "generator_function"),
    }
)


def syntax_tree(text: str, name: str) -> Node:
    """The root of a script's tree; a name that ends in .ts is TypeScript. Raises Unreadable where
    nothing that reads JavaScript is installed.
    """
    if len(text) > _LARGEST * _MIB:
        raise beyond(WHAT, f"over {_LARGEST} MiB")
    typed = name.endswith((".ts", ".mts", ".cts"))
    module = "tree_sitter_typescript" if typed else "tree_sitter_javascript"
    try:
        tree_sitter = importlib.import_module("tree_sitter")
        grammar = importlib.import_module(module)
    except ImportError:
        raise Unreadable(
            f"{WHAT} needs a reader of its language, which is not installed",
            "pip install 'perfhunt[langs]'",
        ) from None
    language = grammar.language_typescript if typed else grammar.language
    parser = tree_sitter.Parser(tree_sitter.Language(language()))
    return parser.parse(text.encode("utf-8", "replace")).root_node


def walked(node: Node) -> Iterator[Node]:
    """The node and all below it, in the order of the text."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(current.named_children))


def bare(node: Node | None) -> Node | None:
    """The expression without parentheses, `await` and types around it."""
    while node is not None and node.type in _AROUND and node.named_children:
        node = node.named_children[0]
    return node


def source(node: Node) -> str:
    """Its text."""
    text: bytes = node.text
    return text.decode("utf-8", "replace")


def shown(node: Node) -> str:
    """Its text for a remark: one line, and not long."""
    text = " ".join(source(node).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def line_of(node: Node) -> int:
    """The line that it begins in, from 1."""
    line: int = node.start_point[0]
    return line + 1


def function_around(node: Node) -> Node | None:
    """The innermost function that it stands in; None at the top of the file."""
    node = node.parent
    while node is not None and node.type not in FUNCTIONS:
        node = node.parent
    return node


def arguments_of(call: Node) -> list[Node]:
    """The arguments of a call, without comments."""
    given = call.child_by_field_name("arguments")
    if given is None or given.type != "arguments":
        return []
    return [each for each in given.named_children if each.type != "comment"]
