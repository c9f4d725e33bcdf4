"""What every reader of edits takes and gives: the two texts of a file, and the atoms found in
them.
"""

from __future__ import annotations

from dataclasses import dataclass

from perfhunt.model.verdict.change import Atom, Edit


@dataclass(frozen=True, slots=True)
class FileTexts:
    """Both texts of one edited file; None where it does not exist. `path` is where it is now."""

    path: str
    before: str | None
    after: str | None
    settings: bool = False  # a Python file whose constants are configuration
    old_path: str = ""  # where it was, when it moved

    @property
    def edit(self) -> Edit:
        """Whether the file is new, gone or changed."""
        return (
            Edit.REMOVED
            if self.after is None
            else Edit.ADDED
            if self.before is None
            else Edit.CHANGED
        )


@dataclass(frozen=True, slots=True)
class FileAtoms:
    """Atoms that count, edits that do not (with the reason in `detail`), and what could not be
    read.
    """

    atoms: tuple[Atom, ...] = ()
    ignored: tuple[Atom, ...] = ()
    notes: tuple[str, ...] = ()

    def plus(self, other: FileAtoms) -> FileAtoms:
        """Both findings as one."""
        return FileAtoms(
            self.atoms + other.atoms, self.ignored + other.ignored, self.notes + other.notes
        )
