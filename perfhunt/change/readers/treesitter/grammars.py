"""The languages tree-sitter parses for us, and what the nodes of each are called."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

LANGS_HINT = "pip install 'perfhunt[langs]'"


@dataclass(frozen=True, slots=True)
class Grammar:
    """One language, with the types of its nodes.

    Members of `containers` count one by one; `wrappers` are looked through; `packages` name a
    package, which is no code; `types` are gone before anything runs.
    """

    name: str
    module: str
    suffixes: tuple[str, ...]
    function: str = "language"
    comments: tuple[str, ...] = ("line_comment", "block_comment")
    imports: tuple[str, ...] = ("import_declaration",)
    containers: tuple[str, ...] = ()
    wrappers: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


def _ecmascript(
    name: str, module: str, suffixes: tuple[str, ...], function: str, types: tuple[str, ...] = ()
) -> Grammar:
    return Grammar(
        name=name,
        module=module,
        suffixes=suffixes,
        function=function,
        comments=("comment", "hash_bang_line"),
        imports=("import_statement",),
        containers=("class_declaration", "abstract_class_declaration"),
        wrappers=("export_statement",),
        types=types,
    )


_JAVASCRIPT, _TYPESCRIPT = "tree_sitter_javascript", "tree_sitter_typescript"
_TYPES = (
    "type_annotation",
    "interface_declaration",
    "type_alias_declaration",
    "type_arguments",
    "type_parameters",
)
GRAMMARS = (
    _ecmascript("JavaScript", _JAVASCRIPT, (".js", ".mjs", ".cjs", ".jsx"), "language"),
    _ecmascript("TypeScript", _TYPESCRIPT, (".ts", ".mts", ".cts"), "language_typescript", _TYPES),
    _ecmascript("TSX", _TYPESCRIPT, (".tsx",), "language_tsx", _TYPES),
    Grammar(
        name="Go",
        module="tree_sitter_go",
        suffixes=(".go",),
        comments=("comment",),
        wrappers=("const_declaration", "var_declaration", "type_declaration", "var_spec_list"),
        packages=("package_clause",),
    ),
    Grammar(
        name="Java",
        module="tree_sitter_java",
        suffixes=(".java",),
        containers=(
            "class_declaration",
            "interface_declaration",
            "enum_declaration",
            "record_declaration",
        ),
        packages=("package_declaration",),
    ),
    Grammar(
        name="Rust",
        module="tree_sitter_rust",
        suffixes=(".rs",),
        imports=("use_declaration",),
        containers=("impl_item", "trait_item", "mod_item"),
    ),
)
_STRINGS = ("string", "string_literal", "interpreted_string_literal", "raw_string_literal")


def grammar_of(path: str) -> Grammar | None:
    """The grammar for a file by its suffix; None when there is none in the table."""
    suffix = PurePosixPath(path).suffix
    return next((grammar for grammar in GRAMMARS if suffix in grammar.suffixes), None)


def parser_of(grammar: Grammar) -> Any | None:
    """A tree-sitter parser; None when the grammar (or tree-sitter itself) is not installed."""
    try:
        tree_sitter = importlib.import_module("tree_sitter")
        module = importlib.import_module(grammar.module)
    except ImportError:
        return None
    return tree_sitter.Parser(tree_sitter.Language(getattr(module, grammar.function)()))


def leaves(node: Any, grammar: Grammar) -> Iterator[Any]:
    """The tokens under a node in order, comments left out; a string is one token."""
    pending = [node]
    while pending:
        current = pending.pop()
        if current.type in grammar.comments or current.type in grammar.types:
            continue
        if not current.children or current.type in _STRINGS:
            yield current
        else:
            pending.extend(reversed(current.children))
