"""Every reader by the role of the files it reads: what is read together is one task."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePosixPath

from perfhunt.change.paths import Role
from perfhunt.change.readers.texts import UNLINKED, FileAtoms, FileTexts, one_atom, together
from perfhunt.model.verdict.change import Kind, Links

# What a file is that nobody could read into, by its role; others are code.
_KINDS = {Role.CONFIG: Kind.CONFIG, Role.MANIFEST: Kind.DEPENDENCY, Role.SCHEMA: Kind.SCHEMA}


@dataclass(frozen=True, slots=True)
class ReadingTask:
    """Files of one role that are read together, each with both of its texts."""

    role: Role
    files: tuple[FileTexts, ...]

    @property
    def size(self) -> int:
        """Characters of all texts."""
        return sum(len(text or "") for file in self.files for text in (file.before, file.after))


def tasks_of(by_role: Mapping[Role, Sequence[FileTexts]]) -> list[ReadingTask]:
    """Each role by its reader; files of one language are read together."""
    config = by_role.get(Role.CONFIG, ())
    in_python = [texts for texts in config if texts.path.endswith(".py")]
    together_read = (
        (Role.PYTHON, [*by_role.get(Role.PYTHON, ()), *in_python]),
        (Role.PARSED, by_role.get(Role.PARSED, ())),
        (Role.MANIFEST, by_role.get(Role.MANIFEST, ())),
    )
    alone = [
        *((Role.CONFIG, texts) for texts in config if texts not in in_python),
        *((role, texts) for role in (Role.SCHEMA, Role.TEXT) for texts in by_role.get(role, ())),
    ]
    return [
        *(ReadingTask(role, tuple(files)) for role, files in together_read if files),
        *(ReadingTask(role, (texts,)) for role, texts in alone),
    ]


def read_task(task: ReadingTask, present: Collection[str]) -> FileAtoms:
    """The atoms of one task; `present` are the paths of locks in the newer tree. Only what reads
    the role is imported.
    """
    match task.role:
        case Role.PYTHON:
            from perfhunt.change.readers.python.atoms import python_atoms

            return python_atoms(task.files)
        case Role.PARSED:
            from perfhunt.change.readers.treesitter.atoms import treesitter_atoms

            return treesitter_atoms(task.files)
        case Role.MANIFEST:
            from perfhunt.change.readers.packages.atoms import package_atoms

            return package_atoms(task.files, present)
        case Role.CONFIG:
            from perfhunt.change.readers.settings.atoms import settings_atoms

            return together(map(settings_atoms, task.files))
        case Role.SCHEMA:
            from perfhunt.change.readers.schema.atoms import schema_atoms

            return together(map(schema_atoms, task.files))
    from perfhunt.change.readers.text import text_atoms

    return together(map(text_atoms, task.files))


def whole(texts: FileTexts, role: Role, why: str) -> FileAtoms:
    """A file that could not be read, as one atom, with a note that says why."""
    kind = _KINDS.get(role, Kind.CODE)
    name, links = ("module-level text", UNLINKED) if kind == Kind.CODE else ("", UNLINKED)
    if kind == Kind.DEPENDENCY:
        name, links = PurePosixPath(texts.path).name, Links()
    return one_atom(texts, kind, name, f"{texts.path} {why}", links)


def bounded(read: FileAtoms, task: ReadingTask, most: int) -> FileAtoms:
    """What was read, with each file of more than `most` atoms as one atom."""
    counted = groupby(sorted(read.atoms, key=lambda atom: atom.file), key=lambda atom: atom.file)
    many = {file for file, atoms in counted if sum(1 for _ in atoms) > most}
    if not many:
        return read
    why = f"holds more than {most:,} edits"
    kept = FileAtoms(
        tuple(atom for atom in read.atoms if atom.file not in many), read.ignored, read.notes
    )
    wholes = (whole(texts, task.role, why) for texts in task.files if texts.path in many)
    return together([kept, *wholes])
