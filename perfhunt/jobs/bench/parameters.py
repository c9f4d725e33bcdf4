"""`--parameter NAME=VALUES`: every combination of the values that are named, and what a command is
with one of them put into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import product
from math import prod

from perfhunt.errors import UsageError

MOST = 1000  # combinations: each is run more than once, and a step mistyped makes millions

_FORMS = "--parameter threads=1,2,4, or a range: --parameter threads=1..8, or size=0..1:0.25"
_NAME = re.compile(r"[^{}=,\s]+")
_NUMBER = r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,15})?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?::({_NUMBER}))?")
_COMMA = re.compile(r"(?<!\\),")

BenchParameters = tuple[tuple[str, str], ...]  # names and values


def combinations(given: Sequence[str]) -> tuple[BenchParameters, ...]:
    """Every combination of the values in `NAME=VALUES`, the last name's values changing first; one
    that is empty when nothing is given. Raises UsageError.
    """
    columns: dict[str, list[str]] = {}
    for text in given:
        name, equals, values = text.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise UsageError(f"--parameter {text} is not NAME=VALUES", _FORMS)
        if name in columns:
            raise UsageError(
                f"--parameter {name} is given twice", f"All of its values at once: {name}=a,b,c"
            )
        columns[name] = _values(name, values)
    if (count := prod(map(len, columns.values()))) > MOST:
        raise UsageError(
            f"--parameter makes {count} combinations, and at most {MOST} are run",
            "Give fewer values, or a wider step: NAME=FROM..TO:STEP",
        )
    return tuple(tuple(zip(columns, values, strict=True)) for values in product(*columns.values()))


def _values(name: str, text: str) -> list[str]:
    values: list[str] = []
    for item in _COMMA.split(text):
        found = _RANGE.fullmatch(item)
        values += _range(name, item, *found.groups()) if found else [item.replace("\\,", ",")]
        if len(values) > MOST:
            raise UsageError(f"--parameter {name} has more than {MOST} values", _FORMS)
    return values


def _range(name: str, item: str, first: str, last: str, by: str | None) -> list[str]:
    """From the first number to the last, both included, written with the decimals that were
    given.
    """
    start, end, step = Decimal(first), Decimal(last), Decimal(by or 1)
    if step <= 0 or end < start:
        raise UsageError(f"--parameter {name}={item} holds no number", _FORMS)
    count = int((end - start) / step) + 1
    if count > MOST:
        raise UsageError(f"--parameter {name}={item} has {count} values, more than {MOST}", _FORMS)
    return [f"{start + i * step:f}" for i in range(count)]


def check_used(names: Iterable[str], texts: Sequence[str]) -> None:
    """Raises UsageError for a name that stands in none of the texts."""
    for name in names:
        if not any(f"{{{name}}}" in text for text in texts):
            raise UsageError(
                f"--parameter {name} is used nowhere", f"Write {{{name}}} where it is to stand."
            )


def filled(words: Iterable[str], parameters: BenchParameters) -> tuple[str, ...]:
    """The words with each `{NAME}` replaced, once: a value that holds braces stays as it is."""
    values: Mapping[str, str] = {f"{{{name}}}": value for name, value in parameters}
    if not values:
        return tuple(words)
    places = re.compile("|".join(map(re.escape, values)))
    return tuple(places.sub(lambda place: values[place[0]], word) for word in words)


def told(parameters: BenchParameters) -> str:
    """How a combination is told apart from the others: ` (threads=2, size=10)`."""
    pairs: Iterator[str] = (f"{name}={value}" for name, value in parameters)
    return f" ({', '.join(pairs)})" if parameters else ""
