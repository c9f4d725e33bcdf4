"""Feeds: the rows that fill `{column}` placeholders, from CSV with a header line or JSON Lines; and
values for them that stand in an answer: `json:$.token`, `header:X-Token`, `cookie:sid`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from perfhunt.errors import Unreadable
from perfhunt.model import redact
from perfhunt.model.document.bounded import Allowance, json_value
from perfhunt.model.traffic.parts import Feed

FeedRow = dict[str, str]
# Beside the comma: what spreadsheets write where the comma is the decimal sign, and tables.
_DELIMITERS = (";", "\t")
# In all rows. Every load process holds them, each in a hundred bytes or more.
_MOST_VALUES = 5_000_000
# The part of JSONPath (RFC 9535) that names one value: $.data[0].token, $["access token"].
_STEP = re.compile(r"""\.([A-Za-z_][\w-]*)|\[(\d{1,9})\]|\["([^"\\]+)"\]|\['([^'\\]+)'\]""")
_JSON = re.compile(rf"json:\$((?:{_STEP.pattern})+)")
_NAMED = re.compile(r"(header|cookie):([!#$%&'*+.^_`|~0-9A-Za-z-]+)")
_SHOWN = 12  # keys of an answer that a message repeats


class FeedError(Unreadable):
    """A feed that cannot be used; the message says which line and why."""


def parse_feed(path: str, content: bytes) -> tuple[FeedRow, ...]:
    """The rows of a feed, at least one, all with the same columns. `path` decides the format: .csv,
    .jsonl or .ndjson.

    Raises FeedError with the line number, Unreadable for more than is read.
    """
    formats: dict[str, Callable[[str], tuple[FeedRow, ...]]] = {
        "csv": _csv_rows,
        "jsonl": _json_rows,
        "ndjson": _json_rows,
    }
    suffix = path.rsplit(".", 1)[-1].lower()
    if suffix not in formats:
        raise FeedError(f"{path} ends in neither .csv, .jsonl nor .ndjson")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FeedError(f"{path} is not UTF-8 (byte {error.start})") from None
    rows = formats[suffix](text)
    if not rows:
        raise FeedError(f"{path} has no rows")
    return rows


def feed(path: str, content: bytes) -> Feed:
    """The feed as a question keeps it: where, which columns, and the hash of its content. Raises
    FeedError, or Unreadable for more than is read.
    """
    rows = parse_feed(path, content)
    return Feed(path, tuple(rows[0]), hashlib.sha256(content).hexdigest())


def is_place(text: str) -> bool:
    """Whether a text says where in an answer a value stands."""
    return bool(_JSON.fullmatch(text) or _NAMED.fullmatch(text))


def value_at(place: str, headers: Sequence[tuple[str, str]], body: bytes) -> str:
    """The value at a place of an answer. Raises FeedError when there is none, which repeats no
    value of the answer.
    """
    if match := _NAMED.fullmatch(place):
        kind, name = match[1], match[2]
        found = _cookies(headers) if kind == "cookie" else headers
        values = [
            v for n, v in found if n == name or (kind == "header" and n.lower() == name.lower())
        ]
        if not values:
            raise FeedError(f"the answer has no {kind} {name}")
        return values[-1]
    try:
        value = json_value(body, "the answer")
    except Unreadable:
        raise FeedError("the answer is not JSON") from None
    return _json_at(place, value)


def _cookies(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Names and values of what the answer sets (RFC 6265, 4.1.1)."""
    pairs = [v.partition(";")[0].partition("=") for n, v in headers if n.lower() == "set-cookie"]
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def _json_at(place: str, value: Any) -> str:
    path = place.removeprefix("json:")
    for step in _STEP.finditer(path):
        key = step[1] or step[3] or step[4]
        if key is None:
            index = int(step[2])
            value = value[index] if isinstance(value, list) and index < len(value) else None
        else:
            if isinstance(value, dict) and key not in value:
                keys = ", ".join(redact.field_name(k) for k in [*value][:_SHOWN]) or "nothing"
                raise FeedError(f"{path} is not in the answer, which has {keys} there")
            value = value.get(key) if isinstance(value, dict) else None
    if value is None or isinstance(value, (dict, list)):
        kind = {type(None): "nothing", dict: "an object", list: "a list"}[type(value)]
        raise FeedError(f"{path} is {kind} in the answer, and no text or number")
    return value if isinstance(value, str) else json.dumps(value)


def _csv_rows(text: str) -> tuple[FeedRow, ...]:
    first = text.partition("\n")[0]
    delimiter = next((d for d in _DELIMITERS if d in first and "," not in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    allowed = Allowance(_MOST_VALUES, "values", "the feed")
    lines: list[tuple[int, list[str]]] = []
    try:
        for line in filter(None, reader):
            allowed.take(len(line))
            lines.append((reader.line_num, line))
    except csv.Error as error:
        raise FeedError(f"line {reader.line_num}: {error}") from None
    if not lines:
        return ()
    header = [name.strip() for name in lines[0][1]]
    if "" in header or len(set(header)) != len(header):
        raise FeedError("line 1: the header must name every column, each once")
    for number, line in lines[1:]:
        if len(line) != len(header):
            raise FeedError(f"line {number}: {len(line)} values for {len(header)} columns")
    return tuple(dict(zip(header, line, strict=True)) for _, line in lines[1:])


def _json_rows(text: str) -> tuple[FeedRow, ...]:
    allowed = Allowance(_MOST_VALUES, "values", "the feed")
    rows: list[FeedRow] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json_value(line, f"line {number}")
        except Unreadable as error:
            raise FeedError(error.message) from None
        rows.append(_json_row(value, number))
        allowed.take(len(rows[-1]))
        if rows[-1].keys() != rows[0].keys():
            raise FeedError(f"line {number}: its keys differ from those of the first line")
    return tuple(rows)


def _json_row(value: Any, number: int) -> FeedRow:
    if not isinstance(value, dict) or not value:
        raise FeedError(f"line {number}: not an object with at least one key")
    nested = [key for key, item in value.items() if isinstance(item, (dict, list)) or item is None]
    if nested:
        raise FeedError(f"line {number}: {nested[0]!r} is not a text, number or boolean")
    return {key: item if isinstance(item, str) else json.dumps(item) for key, item in value.items()}
