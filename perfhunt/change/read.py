"""The whole edit as atoms: start reading here. Working tree or commit range in, `Change` out."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

from perfhunt.change.git.repository import Content, Repository
from perfhunt.change.paths import IGNORED, Role, role_of
from perfhunt.change.readers.lines import located
from perfhunt.change.readers.packages.atoms import dependency_atoms
from perfhunt.change.readers.python.atoms import python_atoms
from perfhunt.change.readers.schema.atoms import schema_atoms
from perfhunt.change.readers.schema.sql import table_symbols
from perfhunt.change.readers.settings.atoms import settings_atoms
from perfhunt.change.readers.texts import FileAtoms, FileTexts
from perfhunt.change.readers.treesitter.atoms import treesitter_atoms
from perfhunt.model.verdict.change import Atom, Change, Edit, Kind, Links


def read_change(repository: Repository, base: str, head: str = "") -> Change:
    """Every edit from `base` to `head`; an empty head is the working tree as it stands, untracked
    files included.

    Raises UsageError for a revision that does not exist, ChangeRefused when git fails.
    """
    base_id = repository.resolve(base)
    head_id = repository.resolve(head) if head else ""
    newer = repository.tree(head_id) if head_id else repository.worktree_tree()
    contents = repository.contents(base_id, newer)
    listed = repository.git("ls-tree", "-r", "-z", "--name-only", newer)
    found = atoms_of(contents, {os.fsdecode(p) for p in listed.split(b"\0")})
    return Change(
        root=str(repository.root),
        base=base_id,
        head=head_id,
        atoms=found.atoms,
        ignored=tuple(a for a in found.ignored if a.kind == Kind.IGNORED),
        question=tuple(a for a in found.ignored if a.kind == Kind.QUESTION),
        files=tuple(c.edit for c in contents),
        sha256=repository.fingerprint(base_id, newer) if contents else "",
        notes=found.notes,
    )


def atoms_of(contents: Sequence[Content], present: Collection[str]) -> FileAtoms:
    """The atoms of edited files; `present` are the paths of the newer tree."""
    found = FileAtoms()
    by_role: dict[Role, list[FileTexts]] = {}
    for content in contents:
        role = role_of(content.path)
        if role in IGNORED:
            found = found.plus(_apart(content, Kind.IGNORED, role.value))
        elif role == Role.QUESTION:
            found = found.plus(_apart(content, Kind.QUESTION, "the test file"))
        elif content.binary or role == Role.DATA:
            moved = content.before == content.after
            found = found.plus(
                _apart(content, Kind.IGNORED, "same content")
                if moved
                else FileAtoms((_data(content),))
            )
        else:  # a file that only moved is read too: what it defines has a new name
            by_role.setdefault(role, []).append(_source(content, role))
    return _declared(found.plus(_read(by_role, present)))


def _source(content: Content, role: Role) -> FileTexts:
    before, after = content.texts()
    return FileTexts(
        content.path, before, after, settings=role == Role.CONFIG, old_path=content.edit.old_path
    )


def _read(by_role: dict[Role, list[FileTexts]], present: Collection[str]) -> FileAtoms:
    """Each role by its reader; files of one language are read together."""
    settings = by_role.get(Role.CONFIG, [])
    code = [*by_role.get(Role.PYTHON, []), *(s for s in settings if s.path.endswith(".py"))]
    found = python_atoms(code).plus(treesitter_atoms(by_role.get(Role.PARSED, [])))
    found = found.plus(dependency_atoms(by_role.get(Role.MANIFEST, []), present))
    for source in by_role.get(Role.MANIFEST, []):
        found = located(found, source)
    for source in (s for s in settings if not s.path.endswith(".py")):
        found = found.plus(located(settings_atoms(source), source))
    for source in by_role.get(Role.SCHEMA, []):
        found = found.plus(schema_atoms(source))
    for source in by_role.get(Role.TEXT, []):
        found = found.plus(_text(source))
    return found


def _apart(content: Content, kind: Kind, why: str) -> FileAtoms:
    return FileAtoms(ignored=(Atom(kind, content.path, "", content.edit.edit, why),))


def _data(content: Content) -> Atom:
    """A data file is one atom; files of one directory are one data set."""
    folder = str(PurePosixPath(content.path).parent)
    sizes = [len(side) for side in (content.before, content.after) if side is not None]
    detail = " -> ".join(f"{size:,} bytes" for size in sizes)
    return Atom(
        Kind.DATA,
        content.path,
        "",
        content.edit.edit,
        detail,
        links=Links(touches=(f"folder:{folder}",)),
    )


def _text(source: FileTexts) -> FileAtoms:
    """A file nobody here can read into: one atom, unless only comment lines and blanks differ."""
    if _without_remarks(source, source.before) == _without_remarks(source, source.after):
        return FileAtoms(ignored=(Atom(Kind.IGNORED, source.path, "", source.edit, "same text"),))
    words = frozenset(re.findall(r"[A-Za-z_]\w{3,}", f"{source.before or ''} {source.after or ''}"))
    stem = PurePosixPath(source.path).name
    links = Links((f"text file:{stem}",), tuple(sorted(f"text:{w}" for w in words if w.isupper())))
    return FileAtoms((Atom(Kind.CODE, source.path, "module-level text", source.edit, links=links),))


def _without_remarks(source: FileTexts, text: str | None) -> list[str] | None:
    if text is None:
        return None
    remark = (
        r"#(?!!)"
        if source.path.endswith((".rb", ".sh", ".pl", ".ex", ".exs"))
        else r"//"
        if "." in source.path
        else r"$^"
    )
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not re.match(remark, line)]


def _declared(found: FileAtoms) -> FileAtoms:
    """Without table declarations that only say in code what a migration of the same edit does."""
    migrated = {
        s
        for a in found.atoms
        if a.kind == Kind.SCHEMA and a.detail != "table declaration"
        for s in (*a.links.uses, *_tables(a))
    }
    kept: list[Atom] = []
    dropped: list[Atom] = []
    for atom in found.atoms:
        same = atom.detail == "table declaration" and table_symbols(atom.name) & migrated
        (dropped if same else kept).append(atom)
    gone = tuple(
        Atom(Kind.IGNORED, a.file, a.name, Edit.CHANGED, "declares what the migration does", a.line)
        for a in dropped
    )
    return FileAtoms(tuple(kept), found.ignored + gone, found.notes)


def _tables(atom: Atom) -> set[str]:
    """The tables a migration names, as declarations name them."""
    named = [
        s.partition(":")[2]
        for s in (*atom.links.defines, *atom.links.touches)
        if s.startswith(("newtable:", "table:"))
    ]
    return {symbol for table in named for symbol in table_symbols(table)}
