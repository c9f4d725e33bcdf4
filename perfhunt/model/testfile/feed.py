"""Feeds: the rows that fill `{column}` placeholders, from CSV with a header line or JSON Lines."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable
from typing import Any

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance, json_value
from perfhunt.model.question import Feed

FeedRow = dict[str, str]
# Beside the comma: what spreadsheets write where the comma is the decimal sign, and tables.
_DELIMITERS = (";", "\t")
# In all rows. Every load process holds them, each in a hundred bytes or more.
_MOST_VALUES = 5_000_000


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
