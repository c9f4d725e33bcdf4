"""The whole edit as atoms: start reading here. Working tree or commit range in, `Change` out."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from perfhunt.change.git.repository import Content, Repository
from perfhunt.change.git.working_tree import WorkingTree, working_tree
from perfhunt.change.isolated import read_apart
from perfhunt.change.paths import IGNORED, Role, role_of
from perfhunt.change.readers.tables import TABLE_DECLARATION, table_symbols
from perfhunt.change.readers.texts import FileAtoms, FileTexts, together
from perfhunt.model.verdict.change import Atom, Change, Edit, FileEdit, Kind, Links


def read_change(repository: Repository, base: str, head: str = "") -> Change:
    """Every edit from `base` to `head`.

    An empty head is the working tree as it stands, untracked files included. Raises UsageError
    for a revision that does not exist, ChangeRefused when git fails.
    """
    base_id = repository.resolve(base)
    head_id = repository.resolve(head) if head else ""
    standing = None if head_id else working_tree(repository)
    newer = standing.tree if standing else repository.tree(head_id)
    contents = repository.contents(base_id, newer)
    if standing:
        contents = _with_unread(contents, standing)
    listed = repository.git("ls-tree", "-r", "-z", "--name-only", newer)
    read = atoms_of(contents, {os.fsdecode(path) for path in listed.split(b"\0")})
    return Change(
        root=str(repository.root),
        base=base_id,
        head=head_id,
        atoms=read.atoms,
        ignored=tuple(a for a in read.ignored if a.kind == Kind.IGNORED),
        question=tuple(a for a in read.ignored if a.kind == Kind.QUESTION),
        files=tuple(content.edit for content in contents),
        sha256=repository.fingerprint(base_id, newer) if contents else "",
        notes=(*read.notes, *(standing.notes() if standing else ())),
    )


def _with_unread(contents: Sequence[Content], standing: WorkingTree) -> tuple[Content, ...]:
    """The contents with what the working tree holds besides: behind filters, and unmeasured."""
    read = (replace(each, aside=standing.behind.get(each.path, "")) for each in contents)
    added = (FileEdit(path, path, Edit.ADDED) for path in standing.unmeasured)
    return (*read, *(Content(edit, None, None) for edit in added))


def atoms_of(contents: Sequence[Content], present: Collection[str]) -> FileAtoms:
    """The atoms of edited files; `present` are the paths of the newer tree."""
    parts: list[FileAtoms] = []
    by_role: dict[Role, list[FileTexts]] = {role: [] for role in Role}
    for content in contents:
        role = role_of(content.path)
        if role in IGNORED:
            parts.append(_ignored(content, Kind.IGNORED, role.value))
        elif role == Role.QUESTION:
            parts.append(_ignored(content, Kind.QUESTION, "the test file"))
        elif content.binary or content.aside or role == Role.DATA:
            moved = content.before == content.after
            same = _ignored(content, Kind.IGNORED, "same content")
            parts.append(same if moved else FileAtoms((_data(content),)))
        else:  # a file that only moved is read too: what it defines has a new name
            by_role[role].append(_texts(content, role))
    return _declared_once(together([*parts, *read_apart(by_role, present)]))


def _texts(content: Content, role: Role) -> FileTexts:
    before, after = content.texts()
    return FileTexts(
        path=content.path,
        before=before,
        after=after,
        settings=role == Role.CONFIG,
        old_path=content.edit.old_path,
    )


def _ignored(content: Content, kind: Kind, why: str) -> FileAtoms:
    return FileAtoms(ignored=(Atom(kind, content.path, "", content.edit.edit, why),))


def _data(content: Content) -> Atom:
    """A data file is one atom; files of one directory are one data set."""
    folder = PurePosixPath(content.path).parent
    sizes = [len(side) for side in (content.before, content.after) if side is not None]
    detail = content.aside or " -> ".join(f"{size:,} bytes" for size in sizes)
    links = Links(touches=(f"folder:{folder}",))
    return Atom(Kind.DATA, content.path, "", content.edit.edit, detail, links=links)


def _declared_once(read: FileAtoms) -> FileAtoms:
    """Without table declarations that only say in code what a migration of the same edit does."""
    migrations = (a for a in read.atoms if a.kind == Kind.SCHEMA and a.detail != TABLE_DECLARATION)
    migrated = {symbol for atom in migrations for symbol in (*atom.links.uses, *_tables(atom))}
    doubled = [atom for atom in read.atoms if _doubles(atom, migrated)]
    why = "declares what the migration does"
    return FileAtoms(
        atoms=tuple(atom for atom in read.atoms if not _doubles(atom, migrated)),
        ignored=(
            *read.ignored,
            *(Atom(Kind.IGNORED, a.file, a.name, Edit.CHANGED, why, a.line) for a in doubled),
        ),
        notes=read.notes,
    )


def _doubles(atom: Atom, migrated: Collection[str]) -> bool:
    return atom.detail == TABLE_DECLARATION and not table_symbols(atom.name).isdisjoint(migrated)


def _tables(atom: Atom) -> set[str]:
    """The tables a migration names, as declarations name them."""
    symbols = (*atom.links.defines, *atom.links.touches)
    named = [s.partition(":")[2] for s in symbols if s.startswith(("newtable:", "table:"))]
    return {symbol for table in named for symbol in table_symbols(table)}
