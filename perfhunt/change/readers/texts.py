"""What every reader takes and gives: both texts of a file in, the atoms of its edit out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from perfhunt.model.verdict.change import Atom, Edit, Kind, Links

UNLINKED = Links()


@dataclass(frozen=True, slots=True)
class FileTexts:
    """Both texts of one edited file; None where it does not exist. `path` is where it is now.

    `settings` is True for a Python file whose constants are configuration. `old_path` is where a
    file was before it moved.
    """

    path: str
    before: str | None
    after: str | None
    settings: bool = False
    old_path: str = ""

    @property
    def edit(self) -> Edit:
        """Whether the file is new, gone or changed."""
        return edit_between(self.before, self.after)


@dataclass(frozen=True, slots=True)
class FileAtoms:
    """Atoms that count, edits that do not (`detail` says why), and what could not be read."""

    atoms: tuple[Atom, ...] = ()
    ignored: tuple[Atom, ...] = ()
    notes: tuple[str, ...] = ()


def edit_between(before: object, after: object) -> Edit:
    """What happened to a thing that is None on the side where it does not exist."""
    return Edit.ADDED if before is None else Edit.REMOVED if after is None else Edit.CHANGED


def together(parts: Iterable[FileAtoms]) -> FileAtoms:
    """What several readers gave, as one."""
    given = list(parts)
    return FileAtoms(
        atoms=tuple(atom for part in given for atom in part.atoms),
        ignored=tuple(atom for part in given for atom in part.ignored),
        notes=tuple(note for part in given for note in part.notes),
    )


def no_change(texts: FileTexts, why: str) -> FileAtoms:
    """An edit of a file that alters nothing that runs."""
    return FileAtoms(ignored=(Atom(Kind.IGNORED, texts.path, "", texts.edit, why),))


def one_atom(
    texts: FileTexts, kind: Kind, name: str, why: str, links: Links = UNLINKED
) -> FileAtoms:
    """A file that is not read into parts: one atom, and a note that says `why`."""
    atom = Atom(kind, texts.path, name, texts.edit, links=links)
    return FileAtoms((atom,), notes=(f"{why}; the whole file counts as one edit",))
