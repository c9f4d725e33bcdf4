"""Where in a file a setting or a package is written, so that a patch can be cut at it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from perfhunt.analysis.change.stretches import differing
from perfhunt.change.readers.texts import FileTexts
from perfhunt.model.verdict.change import Atom, Kind, LineRange

# An atom beside an edited line: a microsecond each. A lock of 300 bumps has a fifth.
_MOST_LOOKS = 2_000_000


def last_word(setting: str) -> str:
    """A setting's own name: `workers` of `CMD --workers`, `web` of `containers[web]`."""
    return re.split(r"[.\s/\[\]]", setting.strip().rstrip("]"))[-1].lstrip("-")


@dataclass(frozen=True, slots=True)
class _Side:
    """The lines of one side, which of them were edited, and where tables of a TOML lock begin."""

    lines: Sequence[str]
    edited: Sequence[int]
    tables: Mapping[str, Sequence[int]]


def _side(lines: Sequence[str], edited: Sequence[int]) -> _Side:
    tables: dict[str, list[int]] = {}
    for i, line in enumerate(lines):
        bare = line.strip().replace("_", "-")
        if bare.startswith("name = "):
            tables.setdefault(bare, []).append(i)
    return _Side(lines, edited, tables)


def located(atoms: Iterable[Atom], texts: FileTexts) -> Iterator[Atom]:
    """The same atoms, with the lines of those of this file whose place its text tells; without
    them where many atoms and many lines make that take long.
    """
    atoms = list(atoms)
    if not any(atom.file == texts.path for atom in atoms):
        yield from atoms
        return
    old, new = ((text or "").splitlines() for text in (texts.before, texts.after))
    edited = differing(old, new)
    was = _side(old, [i for start, end, _, _ in edited for i in range(start, end)])
    now = _side(new, [i for _, _, start, end in edited for i in range(start, end)])
    left = _MOST_LOOKS
    for atom in atoms:
        left -= len(was.edited) + len(now.edited)
        if atom.file != texts.path or not atom.name or left < 0:
            yield atom
            continue
        before, after = _places(atom, was), _places(atom, now)
        first = next(iter((*after, *before)), (None,))
        yield replace(atom, before=_only(before), after=_only(after), line=first[0])


def _only(places: Sequence[LineRange]) -> LineRange | None:
    return places[0] if len(places) == 1 else None


def _places(atom: Atom, side: _Side) -> list[LineRange]:
    """Where an atom may stand on one side: its table in a TOML lock, else edited lines with it."""
    lines = side.lines
    if atom.kind == Kind.DEPENDENCY:
        tables = side.tables.get(f'name = "{atom.name}"', ())
        if len(tables) == 1:
            start = tables[0]
            end = next((i for i in range(start, len(lines)) if not lines[i].strip()), len(lines))
            headed = start > 0 and lines[start - 1].startswith("[[")
            return [(start if headed else start + 1, end)]
    word = atom.name if atom.kind == Kind.DEPENDENCY else last_word(atom.name)
    pattern = rf"(?<!\w)(?<!\w[.-]){re.escape(word)}(?![\w.-])".replace(r"\-", "[-_.]")
    return [(i + 1, i + 1) for i in side.edited if re.search(pattern, lines[i], re.I)]
