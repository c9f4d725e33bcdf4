"""What was edited between two revisions, as atoms; whether that is one change, or why not."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What an edit can act through. QUESTION edits change what is asked, IGNORED ones nothing that
    could be measured.
    """

    CODE = "code"
    DEPENDENCY = "dependency"
    SCHEMA = "schema"
    CONFIG = "config"
    DATA = "data"
    QUESTION = "question"
    IGNORED = "ignored"


class Edit(StrEnum):
    """What happened to the thing an atom names."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RENAMED = "renamed"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Links:
    """What ties an atom to others, as opaque symbols, equal when they mean the same thing.

    One atom's `uses` meeting another's `defines` is a call or a reference; `touches` meeting
    `touches` is shared state that both edits alter; equal non-empty `shape` is the same edit with
    local names and texts taken out.
    """

    defines: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    touches: tuple[str, ...] = ()
    shape: str = ""


LineRange = tuple[int, int]  # first and last line, both counted from 1


@dataclass(frozen=True, slots=True)
class Atom:
    """The smallest edit that could be measured alone: a function, a package, an SQL statement, a
    setting, a data file.

    `file` is where it is now, or where it was when it is gone. `entry` is False for new or removed
    code that acts only when other edited code calls it. Spans are None when the atom is the whole
    file.
    """

    kind: Kind
    file: str
    name: str
    edit: Edit = Edit.CHANGED
    detail: str = ""
    line: int | None = None
    before: LineRange | None = None
    after: LineRange | None = None
    entry: bool = True
    links: Links = Links()

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        what = self.name if not self.detail else f"{self.name} ({self.detail})"
        return (
            f"{self.kind}  {where}  {what}  {self.edit}"
            if self.name
            else f"{self.kind}  {where}  {self.edit}"
        )


@dataclass(frozen=True, slots=True)
class FileEdit:
    """One file of a diff: its path, where it was, and what happened to it."""

    path: str
    old_path: str
    edit: Edit


@dataclass(frozen=True, slots=True)
class Change:
    """Every edit between two revisions. `head` is empty for the working tree, untracked files
    included.

    `base` is a full commit id; `sha256` identifies the difference, whatever it is based on. `notes`
    say what could not be looked into (a language without a parser, a file that does not parse).
    """

    root: str
    base: str
    head: str
    atoms: tuple[Atom, ...]
    ignored: tuple[Atom, ...] = ()
    question: tuple[Atom, ...] = ()
    files: tuple[FileEdit, ...] = ()
    sha256: str = ""
    notes: tuple[str, ...] = ()

    @property
    def functions(self) -> tuple[Atom, ...]:
        """The atoms that are code, which a profile can show."""
        return tuple(a for a in self.atoms if a.kind == Kind.CODE)


@dataclass(frozen=True, slots=True)
class Piece:
    """Atoms that can only be measured together, and why: the unit that must be one.

    Codes: one-atom, connected, repetition (one edit at several sites), hot-path (joined by a
    profile), carried (another kind that only serves the edit).
    """

    atoms: tuple[Atom, ...]
    why: str = ""
    code: str = "one-atom"

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds among its atoms, each once, in a fixed order."""
        present = {a.kind for a in self.atoms}
        return tuple(k for k in Kind if k in present)

    def title(self) -> str:
        """A short name: the first atom that matters, and how many go with it."""
        lead = next((a for a in self.atoms if a.entry), self.atoms[0])
        rest = len(self.atoms) - 1
        name = f"{lead.name} in {lead.file}" if lead.name else lead.file
        return f"{name} and {rest} more with it" if rest else name


@dataclass(frozen=True, slots=True)
class OneChange:
    """An edit whose effect can be told apart. `compound` is the reason a person gave for measuring
    several at once.

    `code` is the piece's, or "compound".
    """

    change: Change
    pieces: tuple[Piece, ...]
    code: str
    reason: str
    notes: tuple[str, ...] = ()
    compound: str = ""

    @property
    def attributable(self) -> bool:
        """False for a compound change: a verdict on it says nothing about any single edit."""
        return not self.compound

    @property
    def label(self) -> str:
        """What a verdict on this change must carry beside its word; empty when there is nothing to
        add.
        """
        return "" if self.attributable else f"compound, not attributable: {self.compound}"


@dataclass(frozen=True, slots=True)
class ChangeRefusal:
    """Why an edit cannot be measured as one change, and what to do next.

    Codes: nothing, two-kinds, two-components, two-packages.
    """

    change: Change
    pieces: tuple[Piece, ...]
    code: str
    reason: str
    next: str = ""
    notes: tuple[str, ...] = field(default=())

    def lines(self) -> tuple[str, ...]:
        """The refusal in full: what, then every atom by piece, file and function."""
        lines: list[str] = [self.reason]
        for number, piece in enumerate(self.pieces, 1):
            lines.append(f"  {number}. {piece.title()}")
            lines.extend(f"       {atom}" for atom in piece.atoms)
        lines.extend(f"  note: {note}" for note in self.notes)
        return tuple(lines)
