"""Atoms of JavaScript, TypeScript, Go, Java and Rust files: top-level declarations and members
whose tokens differ.

A declaration that moves to another file counts as gone and new: only whole files that move (which
git finds) are seen through.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from perfhunt.change.readers.edit_shape import altered_state, edit_shape
from perfhunt.change.readers.texts import FileAtoms, FileTexts
from perfhunt.change.readers.treesitter.grammars import (
    LANGS_HINT,
    Grammar,
    grammar_of,
    leaves,
    parser_of,
)
from perfhunt.model.verdict.change import Atom, Edit, Kind, Links

_TESTS = ("#[test]", "#[cfg(test)]", "#[tokio::test]", "#[bench]")
_NAMES = (
    "identifier",
    "property_identifier",
    "field_identifier",
    "type_identifier",
    "shorthand_property_identifier",
)
# Members every library has: naming one says nothing about who is meant.
_WORDS = """
all add append apply build call catch clone close collect concat contains count delete end equals err error exec
execute filter find first flush forEach format get handle has hashCode headers init into is_empty iter join json
keys length len list load lock main map new next ok open parse pop post push put query read release remove res req
run save send set size slice sort split start status stop then toString to_string unwrap update use value values
write default constructor Error Close Get Set New Run String Query Exec Scan Next Close Handle HandleFunc Print
Printf
"""
_COMMON = frozenset(_WORDS.split())


@dataclass(frozen=True, slots=True)
class _Member:
    """One declaration: its qualified name, its tokens without comments, the names it reads, and
    where it is.
    """

    name: str
    tokens: tuple[str, ...]
    masked: tuple[str, ...]
    names: frozenset[str]
    sort: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _File:
    """One edited file, parsed: its declarations before and after, and the packages it began or
    ceased to import.
    """

    source: FileTexts
    grammar: Grammar
    before: Mapping[str, _Member]
    after: Mapping[str, _Member]
    packages: tuple[str, ...]


def treesitter_atoms(sources: Sequence[FileTexts]) -> FileAtoms:
    """The atoms of edited files in languages with a grammar; without one, the file is one atom and
    a note says why.
    """
    found = FileAtoms()
    files = []
    for source in sources:
        parsed = _parsed(source)
        if isinstance(parsed, _File):
            files.append(parsed)
        else:
            found = found.plus(
                FileAtoms(
                    (Atom(Kind.CODE, source.path, "module-level text", source.edit),),
                    notes=(parsed,),
                )
            )
    for language in dict.fromkeys(f.grammar.name for f in files):
        group = [f for f in files if f.grammar.name == language]
        renamed = {f.source.path: _renames(f.before, f.after) for f in group}
        everywhere = {
            o.rpartition(".")[2]: n.rpartition(".")[2]
            for names in renamed.values()
            for o, n in names.items()
        }
        for file in group:
            found = found.plus(_atoms(file, renamed[file.source.path], everywhere))
    return found


def _parsed(source: FileTexts) -> _File | str:
    """The file by its declarations; why not, as a sentence, when it cannot be read."""
    grammar = grammar_of(source.path)
    if grammar and "@" in f"{source.before or ''}{source.after or ''}":
        grammar = replace(
            grammar, types=()
        )  # decorators may read types when the program runs (emitDecoratorMetadata)
    parser = parser_of(grammar) if grammar else None
    if grammar is None or parser is None:
        return (
            f"{source.path}: no grammar for it, so the file counts as one edit. For functions:"
            f" {LANGS_HINT}"
        )
    before, after = (_members(text, grammar, parser) for text in (source.before, source.after))
    if before is None or after is None:
        return f"{source.path} does not parse as {grammar.name}; the whole file counts as one edit"
    imported = _imported(source.before, grammar, parser) ^ _imported(source.after, grammar, parser)
    return _File(source, grammar, before, after, tuple(f"import:{p}" for p in imported))


def _atoms(file: _File, renamed: Mapping[str, str], everywhere: Mapping[str, str]) -> FileAtoms:
    """What differs in one file once names are written the new way."""
    source, after = file.source, file.after
    before = {
        renamed.get(n, n): _written_as(m, renamed.get(n, n), everywhere)
        for n, m in file.before.items()
    }
    context = _Context(before.keys() | after.keys(), file.packages)
    atoms = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if (old.tokens if old else None) != (new.tokens if new else None):
            atoms.append(_atom(source, file.grammar, old, new, context))
    ignored = [
        Atom(Kind.IGNORED, source.path, n, Edit.RENAMED, f"renamed from {o}")
        for o, n in renamed.items()
    ]
    if not atoms and not ignored:
        ignored.append(Atom(Kind.IGNORED, source.path, "", source.edit, "same code"))
    return FileAtoms(tuple(atoms), tuple(ignored))


@dataclass(frozen=True, slots=True)
class _Context:
    """What the whole file says: the declarations it has on either side, and the packages it began
    or ceased to import.
    """

    declared: Collection[str]
    packages: tuple[str, ...]


def _imported(text: str | None, grammar: Grammar, parser: Any) -> set[str]:
    """The packages a file names: import paths as written, their first three segments, the first
    segment of a `use`.
    """
    found: set[str] = set()
    for node in leaves(
        parser.parse((text or "").encode("utf-8", "surrogateescape")).root_node, grammar
    ):
        above = node.parent
        while above is not None and above.type not in grammar.imports:
            above = above.parent
        call = node.parent.parent if node.parent is not None else None
        if "string" in node.type and (above is not None or _text(call).startswith("require(")):
            path = _text(node).strip("\"'`")
            found |= {path, "/".join(path.split("/")[:3])}
        elif above is not None and node.type == "identifier" and grammar.name == "Rust":
            found.add(_text(node))
    return found


def _members(text: str | None, grammar: Grammar, parser: Any) -> dict[str, _Member] | None:
    """Declarations by name; None when the text does not parse."""
    root = parser.parse((text or "").encode("utf-8", "surrogateescape")).root_node
    if root.has_error:
        return None
    found: dict[str, _Member] = {}
    for member in _declarations(root.children, grammar, ""):
        name, number = member.name, 1
        while name in found:
            number += 1
            name = f"{member.name}#{number}"
        found[name] = member
    return found


def _declarations(nodes: Sequence[Any], grammar: Grammar, prefix: str) -> Iterator[_Member]:
    attributes: list[Any] = []
    for node in nodes:
        if node.type in (
            *grammar.comments,
            *grammar.imports,
            *grammar.packages,
            *grammar.types,
            *";{}()",
        ) or _only_exports(node):
            continue
        if node.type == "attribute_item":  # Rust: stands before the item it is about
            attributes.append(node)
            continue
        if not any(_text(a).replace(" ", "") in _TESTS for a in attributes):
            yield from _declaration(node, attributes, grammar, prefix)
        attributes = []


def _declaration(
    node: Any, attributes: list[Any], grammar: Grammar, prefix: str
) -> Iterator[_Member]:
    inner = node
    if node.type in grammar.wrappers:
        declared = node.child_by_field_name("declaration")
        specs = (
            [declared]
            if declared
            else [
                c for c in node.children if c.is_named and c.type.endswith(("_spec", "_spec_list"))
            ]
        )
        if len(specs) > 1 or (specs and specs[0].type in (*grammar.containers, "var_spec_list")):
            yield from _declarations(specs if len(specs) > 1 else [specs[0]], grammar, prefix)
            return
        inner = specs[0] if specs else node
    body = inner.child_by_field_name("body") if inner.type in grammar.containers else None
    name = prefix + _name(inner)
    if body is None:
        yield _member(name, [*attributes, node], node, grammar)
        return
    shell = [c for c in node.children if c.id != body.id] if inner.id == node.id else []
    if inner.type not in ("impl_item", "mod_item"):
        yield _member(name, [*attributes, *shell], node, grammar)
    yield from _declarations(body.children, grammar, f"{name}.")


def _only_exports(node: Any) -> bool:
    """A statement that only hands names out: `export { a, b }`, `module.exports = { a, b }`."""
    if node.type == "export_statement" and any(c.type == "export_clause" for c in node.children):
        return True
    given = (
        node.children[0].child_by_field_name("right")
        if node.type == "expression_statement"
        else None
    )
    if given is None or given.type != "object" or not _text(node).startswith("module.exports"):
        return False
    return all(c.type == "shorthand_property_identifier" for c in given.children if c.is_named)


def _name(node: Any) -> str:
    """What a person calls a declaration: its name, its receiver and name, or the start of the
    statement.
    """
    if node.type == "impl_item":
        return _text(node.child_by_field_name("type")).partition("<")[0]
    if node.type == "expression_statement":
        return _statement_name(node.children[0])
    receiver = node.child_by_field_name("receiver") if node.type == "method_declaration" else None
    declarators = [c for c in node.children if c.type == "variable_declarator"]
    named = node.child_by_field_name("name") or (
        declarators[0].child_by_field_name("name") if declarators else None
    )
    if named is None:
        named = node.child_by_field_name("property")
    name = _text(named) if named else " ".join(_text(node).split()[:3])
    if receiver is not None:
        return f"{_text(receiver).strip('()').split()[-1].lstrip('*').partition('[')[0]}.{name}"
    return name


def _statement_name(node: Any) -> str:
    """`app.get("/items")` for a call that hands over a handler, `module.exports.find` for an
    assignment.
    """
    if node.type == "assignment_expression":
        return _text(node.child_by_field_name("left"))
    called, given = node.child_by_field_name("function"), node.child_by_field_name("arguments")
    if called is None or given is None:
        return " ".join(_text(node).split()[:3])
    first = next((c for c in given.children if c.is_named), None)
    named = first is not None and first.type in ("string", "identifier", "number")
    return f"{_text(called)}({_text(first) if named else '...'})"


def _member(name: str, parts: Sequence[Any], node: Any, grammar: Grammar) -> _Member:
    tokens = [leaf for part in parts for leaf in leaves(part, grammar)]
    texts = tuple(_text(t) for t in tokens if _text(t) not in (";", ","))
    masked = tuple("S" if "string" in t.type else _text(t) for t in tokens)
    names = frozenset(_text(t) for t in tokens if t.type in _NAMES)
    strings = frozenset(
        f"text:{_text(t).strip(chr(34) + chr(39))}"
        for t in tokens
        if "string" in t.type and _text(t).strip("\"'").isupper()
    )
    first = min(p.start_point[0] for p in parts) if parts else node.start_point[0]
    return _Member(
        name, texts, masked, names | strings, node.type, first + 1, node.end_point[0] + 1
    )


def _text(node: Any) -> str:
    return "" if node is None else str(node.text.decode("utf-8", "replace"))


def _atom(
    source: FileTexts, grammar: Grammar, old: _Member | None, new: _Member | None, context: _Context
) -> Atom:
    member = new or old
    assert member is not None
    edit = Edit.CHANGED if old and new else Edit.ADDED if new else Edit.REMOVED
    simple = member.name.partition("#")[0].rpartition(".")[2]
    owner = member.name.rpartition(".")[0]
    local = {n.rpartition(".")[2] for n in context.declared}
    names = (old.names if old else frozenset()) | (new.names if new else frozenset())
    uses = {f"{source.path}::{n}" for n in names if n in local and n != simple}
    uses |= {f"{grammar.name}:{n}" for n in names if n not in _COMMON and n not in local}
    uses |= {n for n in names if n.startswith("text:")} | {
        f"text:{n}" for n in names if n.isupper() and len(n) > 3
    }
    uses |= set(context.packages)
    if owner and edit != Edit.CHANGED:
        uses.add(f"{source.path}::{owner}")
    touched, written = altered_state(old.tokens if old else (), new.tokens if new else ())
    uses |= {f"state:{source.path}::{owner}.{field}" for field in touched}
    defines = {f"state:{source.path}::{owner}.{field}" for field in written}
    defines |= {f"{source.path}::{simple}"} | (
        {f"{grammar.name}:{simple}"} if simple not in _COMMON else set()
    )
    return Atom(
        Kind.CODE,
        source.path,
        member.name,
        edit,
        "",
        member.first,
        (old.first, old.last) if old else None,
        (new.first, new.last) if new else None,
        edit == Edit.CHANGED or member.sort == "expression_statement" or member.name == "init",
        Links(tuple(sorted(defines)), tuple(sorted(uses - defines)), (), _shape(old, new)),
    )


def _shape(old: _Member | None, new: _Member | None) -> str:
    if old is None or new is None:
        return ""
    return edit_shape(old.masked, new.masked)


def _renames(before: Mapping[str, _Member], after: Mapping[str, _Member]) -> dict[str, str]:
    """Old to new name of declarations that are the same but for their own name."""
    found = {}
    for gone in before.keys() - after.keys():
        for new in after.keys() - before.keys():
            short = {gone.rpartition(".")[2]: new.rpartition(".")[2]}
            if _written_as(before[gone], new, short).tokens == after[new].tokens:
                found[gone] = new
    return found


def _written_as(member: _Member, name: str, renamed: Mapping[str, str]) -> _Member:
    """The same declaration under a name, with renamed identifiers written the new way."""
    tokens, masked = (
        tuple(renamed.get(t, t) for t in side) for side in (member.tokens, member.masked)
    )
    return replace(member, name=name, tokens=tokens, masked=masked)
