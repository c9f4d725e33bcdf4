"""Atoms of edited Python files: definitions whose code differs, and rebound imports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from perfhunt.change.readers.python.definitions import (
    Definition,
    DefinitionSort,
    Module,
    parse_module,
)
from perfhunt.change.readers.python.links import links_of
from perfhunt.change.readers.python.normal import Renames
from perfhunt.change.readers.python.renames import DefinitionPair, renames_of, same_but_parameters
from perfhunt.change.readers.tables import TABLE_DECLARATION
from perfhunt.change.readers.texts import FileAtoms, FileTexts, no_change, one_atom, together
from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import python_tree
from perfhunt.model.verdict.change import Atom, Edit, Kind, Links

_TYPING = ("typing.", "typing_extensions.", "collections.abc.", "__future__.")
_MODELS = ("models.Model", "db.Model", "DeclarativeBase", "TimeStampedModel")
_PLAIN_MODELS = ("Base", "Model")


@dataclass(frozen=True, slots=True)
class _EditedModule:
    """One edited file with both of its modules."""

    texts: FileTexts
    before: Module
    after: Module


def python_atoms(edited: Sequence[FileTexts]) -> FileAtoms:
    """The atoms of edited Python files, read together so that a move between them is seen."""
    faults = [(texts, _fault(texts)) for texts in edited]
    broken = [
        one_atom(texts, Kind.CODE, "module-level text", fault) for texts, fault in faults if fault
    ]
    readable = [texts for texts, fault in faults if not fault]
    files = [_parsed(texts) for texts in readable]
    renames = renames_of([pair for file in files for pair in _pairs(file)])
    if renames:
        files = [_parsed(texts, renames) for texts in readable]
    read = _file_atoms(files, renames)
    touched = {atom.file for atom in (*read.atoms, *read.ignored)}
    same = (no_change(texts, "same code") for texts in readable if texts.path not in touched)
    return together([read, *broken, *same])


def _fault(texts: FileTexts) -> str:
    """Why a file cannot be parsed; empty when it can."""
    try:
        for text in (texts.before, texts.after):
            python_tree(text or "", texts.path)
    except Unreadable as error:
        return error.message
    return ""


def _parsed(texts: FileTexts, renames: Renames | None = None) -> _EditedModule:
    before, after = texts.before or "", texts.after or ""
    return _EditedModule(
        texts=texts,
        before=parse_module(texts.path, before, renames, beside=after),
        after=parse_module(texts.path, after, beside=before),
    )


def _file_atoms(files: Sequence[_EditedModule], renames: Renames) -> FileAtoms:
    pairs = [(file, pair) for file in files for pair in _pairs(file, renames)]
    moved = _moved([pair for _, pair in pairs])
    new_classes = {
        (pair.texts.path, pair.definition.name)
        for _, pair in pairs
        if pair.definition.sort == DefinitionSort.CLASS and pair.edit != Edit.CHANGED
    }
    atoms = [_atom(pair, file, new_classes) for file, pair in pairs if pair not in moved]
    moved_names = {pair.definition.name for pair in moved}
    atoms += [atom for file in files for atom in _rebound(file, moved_names, files)]
    ignored = [
        Atom(Kind.IGNORED, p.texts.path, p.definition.name, Edit.MOVED, "moved", p.definition.first)
        for p in moved
        if p.after
    ]
    keywords = [(old, new) for (_, old), new in renames.keywords.items()]
    ignored += [
        Atom(Kind.IGNORED, "", new, Edit.RENAMED, f"renamed from {old}")
        for old, new in (*keywords, *renames.names.items())
    ]
    return FileAtoms(tuple(atoms), tuple(ignored))


def _pairs(file: _EditedModule, renames: Renames | None = None) -> Iterator[DefinitionPair]:
    """The definitions that differ, imports aside: those are judged by what they bind."""
    nameless = (DefinitionSort.IMPORT, DefinitionSort.STATEMENT)
    old, new = (
        {d.name: d for d in module.definitions if d.sort not in nameless}
        for module in (file.before, file.after)
    )
    for name in dict.fromkeys([*old, *new]):
        a, b = old.get(name), new.get(name)
        if a and b and (a.code == b.code or (renames and same_but_parameters(a, b))):
            continue
        yield DefinitionPair(file.texts, a, b)
    # Statements without a name are paired in order, once those that stayed are taken out.
    before, after = (
        [d for d in module.definitions if d.sort == DefinitionSort.STATEMENT]
        for module in (file.before, file.after)
    )
    gone, fresh = _left_over(before, after), _left_over(after, before)
    for index in range(max(len(gone), len(fresh))):
        a, b = (dict(enumerate(side)).get(index) for side in (gone, fresh))
        yield DefinitionPair(file.texts, a, b)


def _left_over(side: Sequence[Definition], other: Sequence[Definition]) -> list[Definition]:
    """The definitions of one side that the other has not."""
    left = []
    matched = Counter(definition.code for definition in other)
    for definition in side:
        matched[definition.code] -= 1
        if matched[definition.code] < 0:
            left.append(definition)
    return left


def _moved(pairs: Sequence[DefinitionPair]) -> list[DefinitionPair]:
    """Both ends of each move: same name and code, gone here and new there."""
    gone = {(p.before.own_name, p.before.code): p for p in pairs if p.before and not p.after}
    moved: list[DefinitionPair] = []
    for pair in pairs:
        if pair.after and not pair.before:
            here = gone.get((pair.after.own_name, pair.after.code))
            moved += [here, pair] if here else []
    return moved


def _atom(pair: DefinitionPair, file: _EditedModule, new_classes: set[tuple[str, str]]) -> Atom:
    definition, kind = pair.definition, _kind(pair)
    owner = definition.name.rpartition(".")[0]
    owner = owner if (pair.texts.path, owner) in new_classes else ""
    return Atom(
        kind=kind,
        file=pair.texts.path,
        name=definition.name,
        edit=pair.edit,
        detail=TABLE_DECLARATION if _is_table(definition) else "",
        line=definition.first,
        before=(pair.before.first, pair.before.last) if pair.before else None,
        after=(pair.after.first, pair.after.last) if pair.after else None,
        entry=_is_entry(pair, owner),
        links=links_of(pair, kind, (file.before, file.after), owner),
    )


def _is_entry(pair: DefinitionPair, new_class: str) -> bool:
    """False for what is new (or gone) and can only act through code that names it."""
    definition = pair.definition
    if (
        pair.edit == Edit.CHANGED
        or definition.handed_over
        or definition.sort == DefinitionSort.STATEMENT
    ):
        return True
    if definition.sort == DefinitionSort.FUNCTION:
        return "." in definition.name and not new_class
    if definition.sort == DefinitionSort.CONSTANT:
        return pair.texts.settings or not definition.name.isidentifier()
    return _is_table(definition)


def _kind(pair: DefinitionPair) -> Kind:
    if _is_table(pair.definition):
        return Kind.SCHEMA
    if pair.texts.settings and pair.definition.sort != DefinitionSort.FUNCTION:
        return Kind.CONFIG
    return Kind.CODE


def _is_table(definition: Definition) -> bool:
    """Whether a class declares a database table (Django, SQLAlchemy, SQLModel, peewee)."""
    if definition.sort != DefinitionSort.CLASS:
        return False
    named = any(base.endswith(_MODELS) or base in _PLAIN_MODELS for base in definition.bases)
    return named or "'__tablename__'" in definition.code


def _rebound(
    file: _EditedModule, moved: Collection[str], files: Sequence[_EditedModule]
) -> Iterator[Atom]:
    """Imports that now bind a name to something else (`import orjson as json`)."""
    path, before, after = file.texts.path, file.before.imports, file.after.imports
    edited = {f.texts.path.removesuffix(".py").rpartition("/")[2] for f in files}
    for name in before.keys() & after.keys():
        old, new = before[name], after[name]
        same_thing = old.rpartition(".")[2] == new.rpartition(".")[2]
        from_edited = not edited.isdisjoint((*old.split("."), *new.split(".")))
        if old == new or new.startswith(_TYPING) or _renamed_module(old, new, files):
            continue
        if same_thing and (name in moved or from_edited):
            continue
        lines = (
            d.first
            for d in file.after.definitions
            if d.sort == DefinitionSort.IMPORT and name in d.binds
        )
        line = next(lines, None)
        rebound = f"import {old} -> {new}"
        used = (f"import:{old.partition('.')[0]}", f"import:{new.partition('.')[0]}")
        yield Atom(
            kind=Kind.CODE,
            file=path,
            name=name,
            detail=rebound,
            line=line,
            after=(line, line) if line else None,
            links=Links((f"{path}::{name}",), used, (), rebound),
        )


def _renamed_module(old: str, new: str, files: Sequence[_EditedModule]) -> bool:
    """Whether two origins are one module, or one thing in it, whose file was renamed."""
    for texts in (f.texts for f in files if f.texts.old_path not in ("", f.texts.path)):
        was, now = (p.removesuffix(".py").replace("/", ".") for p in (texts.old_path, texts.path))
        for tail in ("", "." + old.rpartition(".")[2]):
            if f".{was}{tail}".endswith(f".{old}") and f".{now}{tail}".endswith(f".{new}"):
                return True
    return False
