"""Files of languages that nobody here reads into: each is one atom."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from perfhunt.change.readers.texts import FileAtoms, FileTexts, no_change
from perfhunt.model.verdict.change import Atom, Kind, Links

_HASH_REMARKS = (".rb", ".sh", ".pl", ".ex", ".exs", ".yml", ".yaml", ".lock")  # else // begins one
_SHORTEST = 4  # letters of a word that may name a setting


def text_atoms(texts: FileTexts) -> FileAtoms:
    """One atom, unless only comment lines and blanks differ."""
    if same_but_remarks(texts):
        return no_change(texts, "same text")
    words = re.findall(rf"[A-Za-z_]\w{{{_SHORTEST - 1},}}", f"{texts.before} {texts.after}")
    links = Links(
        defines=(f"text file:{PurePosixPath(texts.path).name}",),
        uses=tuple(sorted({f"text:{word}" for word in words if word.isupper()})),
    )
    atom = Atom(Kind.CODE, texts.path, "module-level text", texts.edit, links=links)
    return FileAtoms((atom,))


def same_but_remarks(texts: FileTexts) -> bool:
    """Whether only comment lines, blank lines and indentation differ."""
    name = PurePosixPath(texts.path)
    hashes = name.suffix in _HASH_REMARKS or name.name == "Gemfile"
    remark = r"#(?!!)" if hashes else r"//" if name.suffix else r"$^"
    if texts.before is None or texts.after is None:
        return False
    sides = ((line.strip() for line in t.splitlines()) for t in (texts.before, texts.after))
    before, after = ([s for s in side if s and not re.match(remark, s)] for side in sides)
    return before == after
