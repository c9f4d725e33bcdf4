"""A strict reader of TOML tables: every key is read once, with its unit, and whatever is left over
is a mistake.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from perfhunt.model.text.escaping import visible
from perfhunt.model.units import (
    PerSecond,
    Seconds,
    Share,
    UnitError,
    parse_duration,
    parse_rate,
    parse_share,
)

T = TypeVar("T")
C = TypeVar("C", bound=StrEnum)

# Keys whose values a message never repeats.
_SECRETS = {"body", "json", "form", "text", "headers", "expect", "comms"}
_SHOWN = 60  # characters of a bad value that a message repeats

_ALIKE = 0.6  # ratio of matching letters from which difflib calls words close; its own default
_BEGINNING = 3  # letters: shorter beginnings fit too many names


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the file: the key it is at, what is wrong, and what to write instead."""

    path: str
    wrong: str
    instead: str = ""

    def __str__(self) -> str:
        """One printable line: quoted keys of TOML may hold anything, escape sequences of a terminal
        included.
        """
        text = f"{self.path}: {self.wrong}" + (f"; {self.instead}" if self.instead else "")
        return visible(text)


def kind(value: object) -> str:
    """What a person calls the type of a TOML value."""
    names: dict[type, str] = {
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        dict: "a table",
        list: "a list",
    }
    return names.get(type(value), "a date or time")


def show(value: object) -> str:
    """The value as a message repeats it: quoted, on one line and not too long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def closest(word: str, known: Iterable[str]) -> str:
    """The known name nearest to `word`, or "" when none is near enough to be worth saying."""
    by_folded = {name.casefold().replace("-", "_"): name for name in known}
    folded = word.casefold().replace("-", "_")
    near = difflib.get_close_matches(folded, by_folded, n=1, cutoff=_ALIKE)
    # "prod" is half of "production", which no edit distance sees.
    if not near and len(folded) >= _BEGINNING:
        near = [name for name in by_folded if name.startswith(folded)]
    return by_folded[near[0]] if near else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean "timeout"?`, else the whole list of what is known."""
    names = sorted(known)
    near = closest(word, names)
    if near:
        return f'did you mean "{near}"?'
    return f"known here: {', '.join(names)}" if names else "nothing is expected here"


class Reader:
    """Reads one table. Mistakes go to the shared list `problems`, and the reading goes on, so that
    all are told at once.

    It has state because it must remember which keys were read: `finish` reports the others.
    """

    def __init__(self, table: Mapping[str, Any], path: str, problems: list[Problem]) -> None:
        self.table = table
        self.path = path
        self.problems = problems
        self._known: set[str] = set()

    def at(self, key: str) -> str:
        """The full path of a key, as the file's reader would look for it."""
        return f"{self.path}.{key}" if self.path else key

    def wrong(self, key: str, what: str, instead: str = "") -> None:
        """Records a problem at a key ("": at the table itself)."""
        self.problems.append(
            Problem(self.at(key) if key else self.path or "(top of the file)", what, instead)
        )

    def raw(self, key: str) -> Any:
        """The value as TOML gave it, or None; the key counts as known from now on."""
        self._known.add(key)
        return self.table.get(key)

    def has(self, key: str) -> bool:
        """Whether the key is present, whatever its value."""
        self._known.add(key)
        return key in self.table

    def _typed(self, key: str, accepted: type[T], example: str) -> T | None:
        value = self.raw(key)
        if value is None:
            return None
        # bool is an int to Python, never to a reader of the file.
        if not isinstance(value, accepted) or (isinstance(value, bool) and accepted is not bool):
            shown = "" if key in _SECRETS else f"{show(value)} "
            self.wrong(key, f"{shown}is {kind(value)}", f"write {example}")
            return None
        return value

    def text(self, key: str, default: str = "", example: str = '"text"') -> str:
        value = self._typed(key, str, example)
        return default if value is None else value

    def flag(self, key: str, default: bool) -> bool:
        value = self._typed(key, bool, "true or false")
        return default if value is None else value

    def integer(self, key: str, default: int, low: int = 0, high: int = 2**63 - 1) -> int:
        value = self._typed(key, int, "a whole number")
        if value is None:
            return default
        if not low <= value <= high:
            self.wrong(
                key, f"{show(value)} is out of range", f"write a whole number from {low} to {high}"
            )
            return default
        return value

    def choice(self, key: str, default: C) -> C:
        """One of the words of the default's vocabulary."""
        words = tuple(type(default))
        value = self.text(key, default)
        if value not in words:
            near = closest(value, words)
            self.wrong(
                key,
                f"{show(value)} is not one of {', '.join(words)}",
                f'did you mean "{near}"?' if near else "",
            )
            return default
        return type(default)(value)

    def _unit(
        self, key: str, default: T, parse: Callable[[str], float], example: str, allow_zero: bool
    ) -> float | T:
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, str):
            self.wrong(key, f"{show(value)} has no unit", f'write it with one, like "{example}"')
            return default
        try:
            number = parse(value)
        except UnitError as error:
            self.wrong(key, str(error), f'write for example "{example}"')
            return default
        if not math.isfinite(number) or (number <= 0 and not allow_zero):
            self.wrong(
                key,
                f"{show(value)} is not {'a finite number' if number > 0 else 'more than zero'}",
                f'like "{example}"',
            )
            return default
        return number

    def duration(self, key: str, default: Seconds, example: str = "30s") -> Seconds:
        return self._unit(key, default, parse_duration, example, False)

    def optional_duration(self, key: str, example: str = "30s") -> Seconds | None:
        return self._unit(key, None, parse_duration, example, False)

    def rate(self, key: str, default: PerSecond, example: str = "300/s") -> PerSecond:
        return self._unit(key, default, parse_rate, example, False)

    def optional_rate(self, key: str, example: str = "300/s") -> PerSecond | None:
        return self._unit(key, None, parse_rate, example, False)

    def share(self, key: str, default: Share, example: str = "10%") -> Share:
        return self._unit(key, default, parse_share, example, False)

    def strings(self, key: str, default: tuple[str, ...], example: str) -> tuple[str, ...]:
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.wrong(key, f"{show(value)} is not a list of texts", f"write {example}")
            return default
        return tuple(value)

    def child(self, key: str, example: str) -> Reader | None:
        """A reader of the table under a key, or None when there is none."""
        value = self._typed(key, dict, example)
        return None if value is None else Reader(value, self.at(key), self.problems)

    def children(self, key: str, example: str) -> list[Reader]:
        """Readers of a list of tables (`[[key]]`), in order; their paths count from 1."""
        value = self.raw(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.wrong(key, f"{show(value)} is not a list of tables", f"write {example}")
            return []
        return [
            Reader(item, f"{self.at(key)}[{n}]", self.problems)
            for n, item in enumerate(value, start=1)
        ]

    def finish(self, elsewhere: Mapping[str, str] | None = None) -> None:
        """Reports every key that nobody asked for; `elsewhere` says where a key known in another
        table belongs.
        """
        for key in self.table:
            if key in self._known:
                continue
            home = (elsewhere or {}).get(key)
            advice = f"it belongs {home}" if home else did_you_mean(key, self._known)
            self.wrong(key, "is not a known key", advice)
