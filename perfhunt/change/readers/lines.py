"""Where in a file a setting or a package is written, so that a patch can be cut at it."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace

from perfhunt.change.readers.texts import FileAtoms, FileTexts
from perfhunt.model.verdict.change import Atom, Kind, LineRange


def located(found: FileAtoms, source: FileTexts) -> FileAtoms:
    """The same atoms, with the lines of those settings and packages of `source` that can be told
    from the text.
    """
    if source.before is None or source.after is None:
        return found
    old, new = source.before.splitlines(), source.after.splitlines()
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    edited = [op for op in blocks if op[0] != "equal"]
    gone = {i for _, start, end, _, _ in edited for i in range(start, end)}
    fresh = {i for _, _, _, start, end in edited for i in range(start, end)}
    atoms = []
    for atom in found.atoms:
        if (
            atom.file == source.path
            and atom.kind in (Kind.CONFIG, Kind.DEPENDENCY)
            and not (atom.before or atom.after)
        ):
            before, after = _span(atom, old, gone), _span(atom, new, fresh)
            atom = replace(
                atom, before=before, after=after, line=atom.line or (after or before or (None,))[0]
            )
        atoms.append(atom)
    return FileAtoms(tuple(atoms), found.ignored, found.notes)


def _span(atom: Atom, lines: list[str], edited: set[int]) -> LineRange | None:
    """The lines of an atom on one side: its block in a lock file, else the one edited line that
    names it.
    """
    block = [
        i
        for i, line in enumerate(lines)
        if line.strip().replace("_", "-") == f'name = "{atom.name}"'.replace("_", "-")
    ]
    if len(block) == 1:
        start = block[0] - 1 if block[0] and lines[block[0] - 1].startswith("[[") else block[0]
        ends = (i for i in range(block[0], len(lines)) if not lines[i].strip())
        return (start + 1, next(ends, len(lines)))
    key = re.split(r"[.\s]", atom.name)[-1] if atom.kind == Kind.CONFIG else atom.name
    key = (
        re.escape(key.rpartition("/")[2] if atom.kind == Kind.CONFIG else key)
        .replace("\\-", "[-_.]")
        .lstrip("\\-")
    )
    named = [i for i in sorted(edited) if re.search(rf"(?<![\w.-]){key}(?![\w.-])", lines[i], re.I)]
    return (named[0] + 1, named[0] + 1) if len(named) == 1 else None
