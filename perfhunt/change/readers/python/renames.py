"""Renames in Python code: functions, classes and keywords that are the same under another name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfhunt.change.readers.python.definitions import Renames, Unit
from perfhunt.change.readers.texts import FileTexts
from perfhunt.model.verdict.change import Edit


@dataclass(frozen=True, slots=True)
class UnitPair:
    """One unit before and after; None where it does not exist."""

    source: FileTexts
    before: Unit | None
    after: Unit | None

    @property
    def unit(self) -> Unit:
        found = self.after or self.before
        assert found is not None
        return found

    @property
    def edit(self) -> Edit:
        return (
            Edit.CHANGED
            if self.before and self.after
            else Edit.ADDED
            if self.after
            else Edit.REMOVED
        )


def simple(unit: Unit) -> str:
    """The unit's own name, without what it is in."""
    return unit.name.partition("#")[0].rpartition(".")[2]


def renames_of(pairs: Sequence[UnitPair]) -> Renames:
    """What is gone under one name and there, the same, under another; and keywords of functions
    that are otherwise the same.
    """
    gone = {
        (_nameless(p.before), p.before.sort): p.before
        for p in pairs
        if p.before and not p.after and p.before.sort != "statement"
    }
    names: dict[str, str] = {}
    keywords: dict[tuple[str, str], str] = {}
    for pair in pairs:
        if pair.after and not pair.before:
            old = gone.get((_nameless(pair.after), pair.after.sort))
            if old is not None and simple(old) != simple(pair.after):
                names[simple(old)] = simple(pair.after)
        if pair.before and pair.after and same_but_parameters(pair.before, pair.after):
            both = zip(pair.before.parameters, pair.after.parameters, strict=True)
            keywords.update({(simple(pair.before), a): b for a, b in both if a != b})
    return Renames(names, keywords)


def same_but_parameters(before: Unit, after: Unit) -> bool:
    """Whether a function only names its parameters otherwise. Never one that is registered: a
    framework may read the names.
    """
    if before.decorated or after.decorated or len(before.parameters) != len(after.parameters):
        return False
    code = before.code
    for old, new in zip(before.parameters, after.parameters, strict=True):
        if old != new and f"'{new}'" in before.code:
            return False
        code = code.replace(f"'{old}'", f"'{new}'")
    return code == after.code and before.code != after.code


def _nameless(unit: Unit) -> str:
    """The unit's code with its own name taken out, so that a renamed one compares equal."""
    return unit.code.replace(f"'{simple(unit)}'", "'_'")
