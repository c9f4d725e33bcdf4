"""The keys of the test file, as the reader of the test file asks for them, as a page of Markdown.

The strict reader notes every key it is asked for; here it does so over files that have every table,
and what it was asked for, with which type and default, is what the page says. The meanings stand in
`docs_test_file.toml`; a key without one, and a meaning without a key, fail.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from unittest.mock import patch

from docs_verbs import cell, text

from perfhunt.errors import QuestionError
from perfhunt.model.testfile.strict import Reader
from perfhunt.model.testfile.testfile import parse_question
from perfhunt.model.testfile.thresholds import examples
from perfhunt.model.testfile.traffic_table import Surroundings

WORDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
MEANINGS: dict[str, str] = WORDS["meanings"]
TABLES: dict[str, str] = WORDS["tables"]

# What the files below and the example refer to.
SURROUNDINGS = Surroundings({"SHOP_TOKEN": "a"}, lambda path: b"sku\n1\n")
# Files with every table between them; what is wrong with one is no matter, it is read to its end.
SPECIMENS = (
    """
    [target]
    process = { port = 1 }
    [[traffic]]
    request = "POST /"
    headers = { A = "b" }
    expect = { status = [200], body = "x" }
    body = { form = { a = { file = "x", filename = "y" }, b = { text = "x" } } }
    [[traffic]]
    body = { file = "x", type = "image/png" }
    [[traffic]]
    json = { a = 1 }
    [[traffic]]
    form = { a = "b" }
    [[traffic]]
    steps = [{ request = "POST /", extract = { id = "json:$.id" }, think = "1s" }]
    [login]
    request = "POST /"
    extract = { token = "json:$.token" }
    [slo]
    latency = { p99 = "<= 1s" }
    [[slo.route]]
    match = "POST /"
    latency = { p99 = "<= 1s" }
    [ramp]
    [smoke]
    [safety]
    killswitch = { file = "stop" }
    [report]
    """,
    """
    locustfile = "l.py"
    [locust]
    options = { a = "b" }
    """,
)
# Below these stand names of the user's own.
_FREE = re.compile(
    r"^(traffic\.form|traffic\.body\.form|(login|traffic\.steps)\.extract|locust\.options)\.[^.]+$"
)
_FIELD = re.compile(r"^traffic\.body\.form\.[^.]+\.")
# Of a login and of a step these are what they are of [[traffic]].
_SHARED = re.compile(r"^(login\.(?!extract$|sessions$)|traffic\.steps\.(?!extract$|think$))")
_NAMES = {table.strip("`[]") for table in TABLES}  # of tables: each has a section
# How a default is written.
_FORMATS: dict[str, Callable[[Any], str]] = {
    "rate": "{:g}/s".format,
    "duration": "{:g}s".format,
    "share": "{:.0%}".format,
    "integer": str,
    "flag": lambda value: str(value).lower(),
    "choice": str,
    "strings": lambda value: ", ".join(value),
}
# The more exact of two ways to read the same key.
_EXACT = ("raw", "has", "child", "children", "text", "strings")


@dataclass(frozen=True)
class Key:
    """A key as the reader is asked for it: its path, the method that asks, the default given."""

    path: str
    asked: str
    default: object = None


def keys() -> dict[str, Key]:
    """Every key of the test file by its path, in the order in which it is asked for."""
    found: dict[str, Key] = {}
    with ExitStack() as stack:
        for name in ("raw", "has", "text", "flag", "integer", "choice", "child", "children"):
            stack.enter_context(patch.object(Reader, name, _noting(name, found)))
        for name in ("strings", "duration", "optional_duration", "rate", "optional_rate", "share"):
            stack.enter_context(patch.object(Reader, name, _noting(name, found)))
        for specimen in SPECIMENS:
            try:
                parse_question(specimen, "specimen", SURROUNDINGS)
            except QuestionError:
                continue
    return {path: key for path, key in found.items() if path not in _NAMES}


def _noting(name: str, found: dict[str, Key]) -> Callable[..., Any]:
    """A method of the reader that notes what it is asked for first."""
    method: Callable[..., Any] = getattr(Reader, name)

    def noted(self: Reader, key: str, *given: Any, **named: Any) -> Any:
        path = re.sub(r"\[\d+\]", "", self.at(key))
        path = _FIELD.sub("traffic.body.form.FIELD.", path)
        default = given[0] if given and name not in ("child", "children") else None
        before = found.get(path)
        exact = -1 if before is None else _rank(before.asked)
        if not any(kind.match(path) for kind in (_FREE, _SHARED)) and _rank(name) > exact:
            found[path] = Key(path, name, default)
        return method(self, key, *given, **named)

    return noted


def _rank(name: str) -> int:
    return _EXACT.index(name) if name in _EXACT else len(_EXACT)


def page() -> str:
    """docs/reference/test-file.md. Raises ValueError where a key has no meaning, or one no key."""
    there = keys()
    odd = set(there) ^ set(MEANINGS)
    if odd:
        raise ValueError(f"docs_test_file.toml and the reader differ: {', '.join(sorted(odd))}")
    parse_question(WORDS["example"], "the example", SURROUNDINGS)
    return "\n".join(_lines(there)) + "\n"


def _lines(there: dict[str, Key]) -> Iterator[str]:
    yield from (
        "# Keys of the test file",
        "",
        WORDS["head"],
        "",
        "```toml",
        WORDS["example"],
        "```",
    )
    for table, said in TABLES.items():
        yield from ("", f"## {table}", "", said, "")
        yield from ("| key | is | default | meaning |", "|---|---|---|---|")
        name = table.strip("`[]") if "[" in table else ""
        yield from (_row(key, name) for path, key in there.items() if _table_of(path) == name)
    yield from ("", "## Objectives", "", WORDS["objectives"], "")
    yield from ("| objective | for example |", "|---|---|")
    yield from (f'| `{of}.{key}` | `"{example}"` |' for of, key, example in examples())


def _table_of(path: str) -> str:
    """The table whose section tells of a key; "": the top of the file."""
    return max((n for n in _NAMES if path.startswith(f"{n}.")), key=len, default="")


def _row(key: Key, table: str) -> str:
    name = key.path.removeprefix(f"{table}.") if table else key.path
    default = _FORMATS[key.asked](key.default) if key.asked in _FORMATS and key.default else ""
    meaning = cell(text(MEANINGS[key.path]))
    return f"| `{name}` | {_type(key)} | {f'`{default}`' if default else ''} | {meaning} |"


def _type(key: Key) -> str:
    """What the value of a key is, in words."""
    if isinstance(key.default, StrEnum):
        return "one of " + ", ".join(f"`{each}`" for each in type(key.default))
    words = {
        "text": "text",
        "flag": "true or false",
        "integer": "whole number",
        "child": "table",
        "strings": "list of texts",
        "duration": 'time: `"30s"`',
        "optional_duration": 'time: `"30s"`',
        "rate": 'rate: `"300/s"`',
        "optional_rate": 'rate: `"300/s"`',
        "share": 'share: `"10%"`',
    }
    return WORDS["any"].get(key.path, "") or words[key.asked]
