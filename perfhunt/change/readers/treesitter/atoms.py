"""Atoms of JavaScript, TypeScript, Go, Java and Rust files: declarations whose tokens differ.

A declaration that moves to another file counts as gone and new: only whole files that move, which
git finds, are seen through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from perfhunt.change.readers.edit_shape import altered_state, edit_shape
from perfhunt.change.readers.texts import (
    FileAtoms,
    FileTexts,
    edit_between,
    no_change,
    one_atom,
    together,
)
from perfhunt.change.readers.treesitter.declarations import Declaration, declarations, imported
from perfhunt.change.readers.treesitter.grammars import LANGS_HINT, Grammar, grammar_of, parser_of
from perfhunt.model.verdict.change import Atom, Edit, Kind, Links

# Members that every library has: naming one says nothing about who is meant.
_WORDS = """
all add append apply build call catch clone close collect concat contains count delete end equals
err error exec execute filter find first flush forEach format get handle has hashCode headers init
into is_empty iter join json keys length len list load lock main map new next ok open parse pop
post push put query read release remove res req run save send set size slice sort split start
status stop then toString to_string unwrap update use value values write default constructor Error
Close Get Set New Run String Query Exec Scan Next Handle HandleFunc Print Printf
"""
_COMMON = frozenset(_WORDS.split())
_SHORT = 3  # letters: a name in capitals as short as `GET` names no setting


@dataclass(frozen=True, slots=True)
class _ParsedFile:
    """One edited file, parsed: its declarations before and after, by name.

    `packages` are those it began or ceased to import; `renamed` are the new names of declarations
    that are otherwise the same.
    """

    texts: FileTexts
    grammar: Grammar
    before: Mapping[str, Declaration]
    after: Mapping[str, Declaration]
    packages: frozenset[str]
    renamed: Mapping[str, str] = field(default_factory=dict)


def treesitter_atoms(edited: Sequence[FileTexts]) -> FileAtoms:
    """The atoms of edited files; a file without a grammar is one atom, and a note says so."""
    parsed = [(texts, _parsed(texts)) for texts in edited]
    files = [file for _, file in parsed if isinstance(file, _ParsedFile)]
    unread = [
        one_atom(texts, Kind.CODE, "module-level text", file)
        for texts, file in parsed
        if isinstance(file, str)
    ]
    renamed = {
        (file.grammar.name, _own(old)): _own(new)
        for file in files
        for old, new in file.renamed.items()
    }
    return together([*unread, *(_file_atoms(file, renamed) for file in files)])


def _own(name: str) -> str:
    """A declaration's own name, without what it is in and without its number."""
    return name.partition("#")[0].rpartition(".")[2]


def _parsed(texts: FileTexts) -> _ParsedFile | str:
    """The file by its declarations; why not, as a sentence, when it cannot be read."""
    grammar = grammar_of(texts.path)
    parser = parser_of(grammar) if grammar else None
    if grammar is None or parser is None:
        return f"{texts.path}: no grammar for it (for functions: {LANGS_HINT})"
    if "@" in f"{texts.before}{texts.after}":
        # Decorators may read types when the program runs (emitDecoratorMetadata).
        grammar = replace(grammar, types=())
    sides = (
        (text or "").encode("utf-8", "surrogateescape") for text in (texts.before, texts.after)
    )
    old, new = (parser.parse(side).root_node for side in sides)
    if old.has_error or new.has_error:
        return f"{texts.path} does not parse as {grammar.name}"
    before, after = declarations(old, grammar), declarations(new, grammar)
    return _ParsedFile(
        texts=texts,
        grammar=grammar,
        before=before,
        after=after,
        packages=frozenset(imported(old, grammar) ^ imported(new, grammar)),
        renamed=dict(_renames(before, after)),
    )


def _renames(
    before: Mapping[str, Declaration], after: Mapping[str, Declaration]
) -> Iterator[tuple[str, str]]:
    """Old and new name of declarations that are the same but for their own name."""
    fresh: dict[tuple[str, ...], list[str]] = {}
    for new in (name for name in after if name not in before):
        fresh.setdefault(_nameless(new, after[new]), []).append(new)
    for old in (name for name in before if name not in after):
        for new in fresh.get(_nameless(old, before[old]), ())[:1]:
            yield old, new


def _nameless(name: str, declaration: Declaration) -> tuple[str, ...]:
    """The tokens with its own name taken out, so that a renamed one compares equal."""
    own = _own(name)
    return tuple("" if token == own else token for token in declaration.tokens)


def _file_atoms(file: _ParsedFile, renamed: Mapping[tuple[str, str], str]) -> FileAtoms:
    """What differs in one file once names are written the new way."""
    names = {old: new for (language, old), new in renamed.items() if language == file.grammar.name}
    before = {
        file.renamed.get(name, name): declaration.written_as(file.renamed.get(name, name), names)
        for name, declaration in file.before.items()
    }
    file = replace(file, before=before)
    atoms = []
    for name in dict.fromkeys([*before, *file.after]):
        old, new = before.get(name), file.after.get(name)
        if old is None or new is None or old.tokens != new.tokens:
            atoms.append(_atom(file, old, new))
    ignored = [
        Atom(Kind.IGNORED, file.texts.path, new, Edit.RENAMED, f"renamed from {old}")
        for old, new in file.renamed.items()
    ]
    if not atoms and not ignored:
        return no_change(file.texts, "same code")
    return FileAtoms(tuple(atoms), tuple(ignored))


def _atom(file: _ParsedFile, old: Declaration | None, new: Declaration | None) -> Atom:
    declaration = new or old
    assert declaration is not None
    edit = edit_between(old, new)
    entry = declaration.sort == "expression_statement" or declaration.name == "init"
    return Atom(
        kind=Kind.CODE,
        file=file.texts.path,
        name=declaration.name,
        edit=edit,
        line=declaration.first,
        before=(old.first, old.last) if old else None,
        after=(new.first, new.last) if new else None,
        entry=edit == Edit.CHANGED or entry,
        links=_links(file, declaration.name, old, new),
    )


def _links(file: _ParsedFile, name: str, old: Declaration | None, new: Declaration | None) -> Links:
    """What the declaration defines and uses, by file and by language, and its object's fields."""
    path, language = file.texts.path, file.grammar.name
    own, owner = _own(name), name.rpartition(".")[0]
    declared = {n.rpartition(".")[2] for n in (*file.before, *file.after)}
    names = frozenset().union(*(side.names for side in (old, new) if side))
    texts = {n for n in names if n.startswith("text:")}
    uses = texts | {f"text:{n}" for n in names if n.isupper() and len(n) > _SHORT}
    uses |= {f"{path}::{n}" for n in names & declared if n != own}
    uses |= {f"{language}:{n}" for n in names - declared - _COMMON}
    uses |= {f"import:{package}" for package in file.packages}
    if owner and not (old and new):
        uses.add(f"{path}::{owner}")
    touched, written = altered_state(old.tokens if old else (), new.tokens if new else ())
    uses |= {f"state:{path}::{owner}.{field}" for field in touched}
    defines = {f"state:{path}::{owner}.{field}" for field in written} | {f"{path}::{own}"}
    if own not in _COMMON:
        defines.add(f"{language}:{own}")
    shape = edit_shape(old.masked, new.masked) if old and new else ""
    return Links(tuple(sorted(defines)), tuple(sorted(uses - defines)), (), shape)
