"""Atoms of edited configuration files: one per setting that changed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import islice

from perfhunt.change.readers.lines import located
from perfhunt.change.readers.settings.forms import Settings, belongs_to, plain_name, read_settings
from perfhunt.change.readers.texts import FileAtoms, FileTexts, edit_between, no_change, one_atom
from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import DEEPEST
from perfhunt.model.verdict.change import Atom, Edit, Kind, Links

_NUMBER = re.compile(r"[\d.]+")


def settings_atoms(texts: FileTexts) -> FileAtoms:
    """One atom per setting; a block that is wholly new or gone is one atom."""
    try:
        before, after = (read_settings(texts.path, t or "") for t in (texts.before, texts.after))
    except (ValueError, RecursionError, Unreadable) as error:
        return one_atom(texts, Kind.CONFIG, "", f"{texts.path} does not parse ({error})")
    changed = dict.fromkeys(_changed(before, after))
    atoms = (_atom(texts, name, edit, before, after) for name, edit in changed)
    return FileAtoms(tuple(located(atoms, texts))) if changed else no_change(texts, "same settings")


def _changed(before: Settings, after: Settings) -> Iterator[tuple[str, Edit]]:
    blocks = {Edit.ADDED: _blocks_of(before), Edit.REMOVED: _blocks_of(after)}
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            edit = edit_between(before.get(name), after.get(name))
            yield (_whole_block(name, blocks[edit]) if edit in blocks else name), edit


def _blocks_of(settings: Settings) -> set[str]:
    """Every block that these settings are in, and they themselves."""
    return {block for name in settings for block in (*_blocks(name), name)}


def _blocks(name: str) -> Iterator[str]:
    """The blocks around a setting, the outermost first."""
    for end in islice(re.finditer(r"[./]|(?=\[)", name), DEEPEST):
        if end.start():
            yield name[: end.start()]


def _whole_block(name: str, other: Collection[str]) -> str:
    """The outermost block around a setting that the other side has nothing of, else itself."""
    return next((block for block in _blocks(name) if block not in other), name)


def _atom(texts: FileTexts, name: str, edit: Edit, before: Settings, after: Settings) -> Atom:
    plain = plain_name(name)
    old, new = " ".join(before.get(name, ())), " ".join(after.get(name, ()))
    # A value that is no number may be a secret, so it is not shown.
    shown = _NUMBER.fullmatch(old) and _NUMBER.fullmatch(new)
    links = Links(
        defines=(f"setting:{plain}", f"text:{plain.upper()}"),
        uses=belongs_to(plain),
        touches=(f"setting={plain}={new}",),
    )
    detail = f"{old} -> {new}" if shown else ""
    return Atom(Kind.CONFIG, texts.path, name, edit, detail, links=links)
