"""Where in a file a setting or a package is written, so that a patch can be cut at it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from perfhunt.change.readers.texts import FileTexts
from perfhunt.model.verdict.change import Atom, Kind, LineRange


def last_word(setting: str) -> str:
    """A setting's own name: `workers` of `CMD --workers`, `web` of `containers[web]`."""
    return re.split(r"[.\s/\[\]]", setting.strip().rstrip("]"))[-1].lstrip("-")


def located(atoms: Iterable[Atom], texts: FileTexts) -> Iterator[Atom]:
    """The same atoms, with the lines of those of this file whose place its text tells."""
    old, new = ((text or "").splitlines() for text in (texts.before, texts.after))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    edited = [codes for tag, *codes in matcher.get_opcodes() if tag != "equal"]
    gone = [i for start, end, _, _ in edited for i in range(start, end)]
    fresh = [i for _, _, start, end in edited for i in range(start, end)]
    for atom in atoms:
        if atom.file != texts.path or not atom.name:
            yield atom
            continue
        before, after = _places(atom, old, gone), _places(atom, new, fresh)
        first = next(iter((*after, *before)), (None,))
        yield replace(atom, before=_only(before), after=_only(after), line=first[0])


def _only(places: Sequence[LineRange]) -> LineRange | None:
    return places[0] if len(places) == 1 else None


def _places(atom: Atom, lines: Sequence[str], edited: Sequence[int]) -> list[LineRange]:
    """Where an atom may stand on one side: its table in a TOML lock, else edited lines with it."""
    if atom.kind == Kind.DEPENDENCY:
        title = f'name = "{atom.name}"'
        tables = [i for i, line in enumerate(lines) if line.strip().replace("_", "-") == title]
        if len(tables) == 1:
            start = tables[0]
            end = next((i for i in range(start, len(lines)) if not lines[i].strip()), len(lines))
            headed = start > 0 and lines[start - 1].startswith("[[")
            return [(start if headed else start + 1, end)]
    word = atom.name if atom.kind == Kind.DEPENDENCY else last_word(atom.name)
    pattern = rf"(?<!\w)(?<!\w[.-]){re.escape(word)}(?![\w.-])".replace(r"\-", "[-_.]")
    return [(i + 1, i + 1) for i in edited if re.search(pattern, lines[i], re.I)]
