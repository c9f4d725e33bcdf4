"""A parsed file as declarations that an edit can be pinned to, each by its tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from perfhunt.change.readers.treesitter.grammars import Grammar, leaves

_RUST_TESTS = ("#[test]", "#[cfg(test)]", "#[tokio::test]", "#[bench]")
_NAMES = (
    "identifier",
    "property_identifier",
    "field_identifier",
    "type_identifier",
    "shorthand_property_identifier",
)
_NAMELESS_CONTAINERS = ("impl_item", "mod_item")  # Rust: these are nothing without their members
_MODULE_WORDS = 3  # of an import path, that name a module: github.com/go-chi/chi of .../chi/v5
_TITLE_WORDS = 3  # of a statement without a name


@dataclass(frozen=True, slots=True)
class Declaration:
    """One declaration: its qualified name, its tokens without comments, and where it is.

    `masked` are the tokens with texts taken out; `names` are what it reads; `sort` is the type of
    its node.
    """

    name: str
    tokens: tuple[str, ...]
    masked: tuple[str, ...]
    names: frozenset[str]
    sort: str
    first: int
    last: int

    def written_as(self, name: str, renamed: Mapping[str, str]) -> Declaration:
        """The same declaration under a name, with renamed identifiers written the new way."""
        tokens, masked = (
            tuple(renamed.get(token, token) for token in side)
            for side in (self.tokens, self.masked)
        )
        return replace(self, name=name, tokens=tokens, masked=masked)


def declarations(root: Any, grammar: Grammar) -> dict[str, Declaration]:
    """The declarations under a root node by name; a second one of a name is numbered."""
    named: dict[str, Declaration] = {}
    for declaration in _declarations(root.children, grammar, ""):
        name, number = declaration.name, 1
        while name in named:
            number += 1
            name = f"{declaration.name}#{number}"
        named[name] = declaration
    return named


def imported(root: Any, grammar: Grammar) -> set[str]:
    """The packages a file names: import paths, their first words, the identifiers of a `use`."""
    packages: set[str] = set()
    for leaf in leaves(root, grammar):
        above = leaf.parent
        call = above.parent if above is not None else None
        while above is not None and above.type not in grammar.imports:
            above = above.parent
        if "string" in leaf.type and (above is not None or text_of(call).startswith("require(")):
            path = text_of(leaf).strip("\"'`")
            packages |= {path, "/".join(path.split("/")[:_MODULE_WORDS])}
        elif above is not None and leaf.type == "identifier" and grammar.name == "Rust":
            packages.add(text_of(leaf))
    return packages


def text_of(node: Any) -> str:
    """The text of a node; empty when there is none."""
    return "" if node is None else str(node.text.decode("utf-8", "replace"))


def _declarations(nodes: Sequence[Any], grammar: Grammar, prefix: str) -> Iterator[Declaration]:
    skipped = (*grammar.comments, *grammar.imports, *grammar.packages, *grammar.types, *";{}()")
    attributes: list[Any] = []
    for node in nodes:
        if node.type in skipped or _only_exports(node):
            continue
        if node.type == "attribute_item":  # Rust: stands before the item it is about
            attributes.append(node)
            continue
        if not any(text_of(a).replace(" ", "") in _RUST_TESTS for a in attributes):
            yield from _declaration(node, attributes, grammar, prefix)
        attributes = []


def _declaration(
    node: Any, attributes: Sequence[Any], grammar: Grammar, prefix: str
) -> Iterator[Declaration]:
    inner = node
    if node.type in grammar.wrappers:
        declared = node.child_by_field_name("declaration")
        named = (c for c in node.children if c.is_named)
        specs = [c for c in named if c.type.endswith(("_spec", "_spec_list"))]
        specs = [declared] if declared else specs
        if len(specs) > 1 or (specs and specs[0].type in (*grammar.containers, "var_spec_list")):
            yield from _declarations(specs, grammar, prefix)
            return
        inner = specs[0] if specs else node
    body = inner.child_by_field_name("body") if inner.type in grammar.containers else None
    name = prefix + _name(inner)
    if body is None:
        yield _read(name, [*attributes, node], node, grammar)
        return
    if inner.type not in _NAMELESS_CONTAINERS:
        shell = [c for c in node.children if c.id != body.id] if inner.id == node.id else []
        yield _read(name, [*attributes, *shell], node, grammar)
    yield from _declarations(body.children, grammar, f"{name}.")


def _only_exports(node: Any) -> bool:
    """A statement that only hands names out: `export { a, b }`, `module.exports = { a, b }`."""
    if node.type == "export_statement":
        return any(child.type == "export_clause" for child in node.children)
    if node.type != "expression_statement" or not text_of(node).startswith("module.exports"):
        return False
    given = node.children[0].child_by_field_name("right")
    if given is None or given.type != "object":
        return False
    return all(c.type == "shorthand_property_identifier" for c in given.children if c.is_named)


def _name(node: Any) -> str:
    """What a person calls a declaration: its name, its receiver and name, or its first words."""
    if node.type == "impl_item":
        return text_of(node.child_by_field_name("type")).partition("<")[0]
    if node.type == "expression_statement":
        return _statement_name(node.children[0])
    declarators = (child for child in node.children if child.type == "variable_declarator")
    naming = (node, *declarators)
    named = next((n for d in naming if (n := d.child_by_field_name("name"))), None)
    named = named or node.child_by_field_name("property")
    name = text_of(named) if named else _beginning(node)
    receiver = node.child_by_field_name("receiver")
    if node.type == "method_declaration" and receiver is not None:
        kind = text_of(receiver).strip("()").split()[-1].lstrip("*").partition("[")[0]
        return f"{kind}.{name}"
    return name


def _statement_name(node: Any) -> str:
    """`app.get("/items")` of a call that hands over a handler, the target of an assignment."""
    if node.type == "assignment_expression":
        return text_of(node.child_by_field_name("left"))
    called, given = node.child_by_field_name("function"), node.child_by_field_name("arguments")
    if called is None or given is None:
        return _beginning(node)
    first = next((child for child in given.children if child.is_named), None)
    named = first is not None and first.type in ("string", "identifier", "number")
    return f"{text_of(called)}({text_of(first) if named else '...'})"


def _beginning(node: Any) -> str:
    return " ".join(text_of(node).split()[:_TITLE_WORDS])


def _read(name: str, parts: Sequence[Any], node: Any, grammar: Grammar) -> Declaration:
    tokens = [(leaf.type, text_of(leaf)) for part in parts for leaf in leaves(part, grammar)]
    strings = {text.strip("\"'") for kind, text in tokens if "string" in kind}
    return Declaration(
        name=name,
        tokens=tuple(text for _, text in tokens if text not in (";", ",")),
        masked=tuple("S" if "string" in kind else text for kind, text in tokens),
        names=frozenset(text for kind, text in tokens if kind in _NAMES)
        | {f"text:{string}" for string in strings if string.isupper()},
        sort=node.type,
        first=min((part.start_point[0] for part in parts), default=node.start_point[0]) + 1,
        last=node.end_point[0] + 1,
    )
