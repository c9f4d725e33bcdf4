"""Target lists of vegeta, in both of its formats (`vegeta attack -format http` and `json`)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance, json_value, numbered
from perfhunt.model.recorded.request import METHODS, MOST, LeftOut, RecordedRequest, recorded

_NEEDED = ("method", "url")
# vegeta takes what begins in capitals for a target; a url behind other letters is one, too.
_TARGET = re.compile(r"([A-Z]+)\s+(\S.*)|([A-Za-z]+)\s+((?:https?://|/)\S*)")


def read_vegeta(text: str) -> Iterator[RecordedRequest | LeftOut]:
    """Its targets in order. Raises Unreadable with the line."""
    allowed = Allowance(MOST, "requests", "the target list")
    json = text.lstrip("\ufeff \t\r\n").startswith("{")
    for request in (_json_targets if json else _http_targets)(text.removeprefix("\ufeff")):
        allowed.take()
        yield request


def _json_targets(text: str) -> Iterator[RecordedRequest | LeftOut]:
    for number, line in numbered(text, "the target list"):
        if line.strip():
            yield _json_target(json_value(line, f"line {number}"), f"line {number}")


def _json_target(value: Any, where: str) -> RecordedRequest | LeftOut:
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
    except UnicodeDecodeError:
        return LeftOut("their body is binary, which a test file cannot hold")
    except binascii.Error:
        raise Unreadable(f"{where}: its body is no base64") from None
    return _target(value["method"], value["url"], headers, body, where)


def _target(
    method: str, url: str, headers: list[tuple[str, str]], body: str, where: str
) -> RecordedRequest | LeftOut:
    if method not in METHODS:
        return LeftOut(f"{method[:20]!r} is no method that is sent again")
    return recorded(method, url, headers, body, where)


def _http_targets(text: str) -> Iterator[RecordedRequest | LeftOut]:
    """A line with method and url, lines with headers, `@file` for a body; `#` begins a comment."""
    head: tuple[str, str, str] | None = None
    headers: list[tuple[str, str]] = []
    for number, line in numbered(text, "the target list"):
        line, where = line.strip(), f"line {number}"
        if not line or line.startswith("#"):
            continue
        if match := _TARGET.fullmatch(line):
            if head is not None:
                yield _target(head[0], head[1], headers, "", head[2])
            head, headers = (match[1] or match[3], match[2] or match[4], where), []
        elif head is None:
            raise Unreadable(f"{where}: {line[:60]!r} is no target")
        elif line.startswith("@"):
            raise Unreadable(
                f"{where}: the body is in the file {line[1:61]!r}: use vegeta's json format, which"
                " holds it"
            )
        else:
            name, colon, content = line.partition(":")
            if not colon:
                raise Unreadable(f"{where}: {line[:60]!r} is neither a target nor a header")
            headers.append((name.strip(), content.strip()))
    if head is not None:
        yield _target(head[0], head[1], headers, "", head[2])
