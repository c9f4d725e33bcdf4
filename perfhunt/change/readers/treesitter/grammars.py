"""The languages tree-sitter reads for us: which grammar, which nodes are comments, imports,
containers, declarations.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

LANGS_HINT = "pip install 'perfhunt[langs]'"


@dataclass(frozen=True, slots=True)
class Grammar:
    """One language. `containers` are declarations whose members count one by one; `wrappers` are
    looked through.
    """

    name: str
    module: str
    suffixes: tuple[str, ...]
    function: str = "language"
    comments: tuple[str, ...] = ("comment",)
    imports: tuple[str, ...] = ("import_statement",)
    containers: tuple[str, ...] = ("class_declaration",)
    wrappers: tuple[str, ...] = ("export_statement",)
    packages: tuple[str, ...] = ()  # nodes that name a package: no code
    types: tuple[str, ...] = ()  # nodes that are gone before anything runs


_TYPESCRIPT = "tree_sitter_typescript"
_CLASSES = ("class_declaration", "abstract_class_declaration")
_TYPES = (
    "type_annotation",
    "interface_declaration",
    "type_alias_declaration",
    "type_arguments",
    "type_parameters",
)
_REMARKS = ("comment", "hash_bang_line")
GRAMMARS = (
    Grammar(
        "JavaScript",
        "tree_sitter_javascript",
        (".js", ".mjs", ".cjs", ".jsx"),
        "language",
        _REMARKS,
        containers=_CLASSES,
    ),
    Grammar(
        "TypeScript",
        _TYPESCRIPT,
        (".ts", ".mts", ".cts"),
        "language_typescript",
        _REMARKS,
        containers=_CLASSES,
        types=_TYPES,
    ),
    Grammar(
        "TSX", _TYPESCRIPT, (".tsx",), "language_tsx", _REMARKS, containers=_CLASSES, types=_TYPES
    ),
    Grammar(
        "Go",
        "tree_sitter_go",
        (".go",),
        imports=("import_declaration",),
        containers=(),
        wrappers=("const_declaration", "var_declaration", "type_declaration", "var_spec_list"),
        packages=("package_clause",),
    ),
    Grammar(
        "Java",
        "tree_sitter_java",
        (".java",),
        comments=("line_comment", "block_comment"),
        imports=("import_declaration",),
        containers=(
            "class_declaration",
            "interface_declaration",
            "enum_declaration",
            "record_declaration",
        ),
        wrappers=(),
        packages=("package_declaration",),
    ),
    Grammar(
        "Rust",
        "tree_sitter_rust",
        (".rs",),
        comments=("line_comment", "block_comment"),
        imports=("use_declaration",),
        containers=("impl_item", "trait_item", "mod_item"),
        wrappers=(),
    ),
)


def grammar_of(path: str) -> Grammar | None:
    """The grammar for a file by its suffix; None when there is none in the table."""
    suffix = PurePosixPath(path).suffix
    return next((g for g in GRAMMARS if suffix in g.suffixes), None)


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
        if not current.children or current.type in (
            "string",
            "string_literal",
            "interpreted_string_literal",
            "raw_string_literal",
        ):
            yield current
        else:
            pending.extend(reversed(current.children))
