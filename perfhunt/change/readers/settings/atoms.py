"""Atoms of edited configuration files: one per setting that changed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from perfhunt.change.readers.settings.forms import Settings, belongs_to, plain_name, read_settings
from perfhunt.change.readers.texts import FileAtoms, FileTexts
from perfhunt.model.verdict.change import Atom, Edit, Kind, Links


def settings_atoms(source: FileTexts) -> FileAtoms:
    """One atom per setting; a block that is wholly new or gone is one atom."""
    try:
        before, after = (
            read_settings(source.path, text or "") for text in (source.before, source.after)
        )
    except ValueError as error:
        whole = Atom(Kind.CONFIG, source.path, "", source.edit)
        return FileAtoms(
            (whole,),
            notes=(f"{source.path} does not parse ({error}); the whole file counts as one edit",),
        )
    text = source.after or source.before or ""
    atoms = tuple(
        _atom(source, name, edit, before, after, text) for name, edit in _changed(before, after)
    )
    return (
        FileAtoms(atoms)
        if atoms
        else FileAtoms(ignored=(Atom(Kind.IGNORED, source.path, "", source.edit, "same settings"),))
    )


def _changed(before: Settings, after: Settings) -> Iterator[tuple[str, Edit]]:
    seen: set[tuple[str, Edit]] = set()
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) == after.get(name):
            continue
        edit = (
            Edit.CHANGED
            if name in before and name in after
            else Edit.ADDED
            if name in after
            else Edit.REMOVED
        )
        if edit != Edit.CHANGED:
            name = _whole_block(name, before if edit == Edit.ADDED else after)
        if (name, edit) not in seen:
            seen.add((name, edit))
            yield name, edit


def _whole_block(name: str, other: Settings) -> str:
    """The outermost block around a setting that the other side has nothing of; the setting itself
    when there is none.
    """
    parts = re.split(r"([./])", name)
    for end in range(1, len(parts) - 1, 2):
        block = "".join(parts[:end])
        if not any(n == block or n.startswith((f"{block}.", f"{block}/")) for n in other):
            return block
    return name


def _atom(
    source: FileTexts, name: str, edit: Edit, before: Settings, after: Settings, text: str
) -> Atom:
    plain = plain_name(name)
    old, new = " ".join(before.get(name, ())), " ".join(after.get(name, ()))
    numbers = re.fullmatch(r"[\d.]*", old) and re.fullmatch(
        r"[\d.]*", new
    )  # anything else may be a secret
    return Atom(
        Kind.CONFIG,
        source.path,
        name,
        edit,
        f"{old} -> {new}" if numbers and old and new else "",
        _line(name, text),
        links=Links(
            (f"setting:{plain}", f"text:{plain.upper()}"),
            belongs_to(plain),
            (f"setting={plain}={new}",),
        ),
    )


def _line(name: str, text: str) -> int | None:
    """Where the setting is named, when that can be told."""
    last = re.split(r"[.\s/]", name)[-1]
    found = [
        i
        for i, line in enumerate(text.splitlines(), 1)
        if re.search(rf"(^|[^\w-]){re.escape(last)}([^\w-]|$)", line)
    ]
    return found[0] if found else None
