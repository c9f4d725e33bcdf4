"""Definitions before and after an edit, and which of them are the same under another name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfhunt.change.readers.python.definitions import Definition, DefinitionSort
from perfhunt.change.readers.python.normal import Renames
from perfhunt.change.readers.texts import FileTexts, edit_between
from perfhunt.model.verdict.change import Edit


@dataclass(frozen=True, slots=True)
class DefinitionPair:
    """One definition before and after; None where it does not exist."""

    texts: FileTexts
    before: Definition | None
    after: Definition | None

    @property
    def definition(self) -> Definition:
        """The newer one, or the one that is gone."""
        definition = self.after or self.before
        assert definition is not None
        return definition

    @property
    def sides(self) -> tuple[Definition, ...]:
        """Those that exist, the older one first."""
        return tuple(side for side in (self.before, self.after) if side)

    @property
    def edit(self) -> Edit:
        """Whether it is new, gone or changed."""
        return edit_between(self.before, self.after)


def renames_of(pairs: Sequence[DefinitionPair]) -> Renames:
    """What is gone under one name and there, the same, under another.

    Keywords are renamed too, of functions that are otherwise the same.
    """
    gone = {
        _nameless(pair.before): pair.before
        for pair in pairs
        if pair.before and not pair.after and pair.before.sort != DefinitionSort.STATEMENT
    }
    names: dict[str, str] = {}
    keywords: dict[tuple[str, str], str] = {}
    for pair in pairs:
        old, new = pair.before, pair.after
        if new and not old:
            old = gone.get(_nameless(new))
            if old and old.own_name != new.own_name:
                names[old.own_name] = new.own_name
        elif old and new and same_but_parameters(old, new):
            both = zip(old.parameters, new.parameters, strict=True)
            keywords.update({(old.own_name, a): b for a, b in both if a != b})
    return Renames(names, keywords)


def same_but_parameters(before: Definition, after: Definition) -> bool:
    """Whether a function only calls its parameters otherwise.

    Never one that is handed over: a framework may read the names.
    """
    handed_over = before.handed_over or after.handed_over
    if handed_over or len(before.parameters) != len(after.parameters):
        return False
    code = before.code
    for old, new in zip(before.parameters, after.parameters, strict=True):
        if old != new and f"'{new}'" in before.code:
            return False
        code = code.replace(f"'{old}'", f"'{new}'")
    return code == after.code and before.code != after.code


def _nameless(definition: Definition) -> tuple[str, DefinitionSort]:
    """The code with its own name taken out, so that a renamed one compares equal."""
    return definition.code.replace(f"'{definition.own_name}'", "'_'"), definition.sort
