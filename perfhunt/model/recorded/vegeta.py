"""Target lists of vegeta, in both of its formats (`vegeta attack -format http` and `json`)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance, json_value, numbered
from perfhunt.model.recorded.request import METHODS, MOST, RecordedRequest, recorded


def read_vegeta(text: str) -> Iterator[RecordedRequest]:
    """Its targets in order. Raises Unreadable with the line."""
    allowed = Allowance(MOST, "requests", "the target list")
    json = text.lstrip("\ufeff \t\r\n").startswith("{")
    for request in _json_targets(text) if json else _http_targets(text):
        allowed.take()
        yield request


def _json_targets(text: str) -> Iterator[RecordedRequest]:
    for number, line in numbered(text, "the target list"):
        if line.strip():
            yield _json_target(json_value(line, f"line {number}"), f"line {number}")


def _json_target(value: Any, where: str) -> RecordedRequest:
    if not isinstance(value, dict) or not all(isinstance(value.get(k), str) for k in _NEEDED):
        raise Unreadable(f"{where}: no object with method and url")
    given = value.get("header")
    headers = [
        (str(name), str(content))
        for name, contents in (given.items() if isinstance(given, dict) else ())
        for content in (contents if isinstance(contents, list) else [contents])
    ]
    try:
        body = base64.b64decode(str(value.get("body") or ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Unreadable(f"{where}: its body is no text in base64") from None
    return recorded(value["method"], value["url"], headers, body, where)


_NEEDED = ("method", "url")


def _http_targets(text: str) -> Iterator[RecordedRequest]:
    """A line with method and url, lines with headers, `@file` for a body; `#` begins a comment."""
    head: tuple[str, str, str] | None = None
    headers: list[tuple[str, str]] = []
    for number, line in numbered(text, "the target list"):
        line, where = line.strip(), f"line {number}"
        method, _, rest = line.partition(" ")
        if not line or line.startswith("#"):
            continue
        if method in METHODS:
            if head is not None:
                yield recorded(head[0], head[1], headers, where=head[2])
            head, headers = (method, rest.strip(), where), []
        elif head is None:
            raise Unreadable(f"{where}: {line[:60]!r} is no target")
        elif line.startswith("@"):
            raise Unreadable(
                f"{where}: the body is in the file {line[1:61]!r}: use vegeta's json format, which"
                " holds it"
            )
        else:
            name, _, content = line.partition(":")
            headers.append((name.strip(), content.strip()))
    if head is not None:
        yield recorded(head[0], head[1], headers, where=head[2])
