"""HTTP Archive (HAR 1.2): what a browser's network panel saves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance, json_value
from perfhunt.model.recorded.request import MOST, LeftOut, RecordedRequest, recorded

_OF_HTTP = ("http://", "https://")


def read_har(text: str) -> Iterator[RecordedRequest | LeftOut]:
    """Its requests in order, those that went over no HTTP (`data:`, `ws:`, an extension's) left
    out. Raises Unreadable.
    """
    entries = _at(json_value(text.removeprefix("\ufeff"), "the HAR"), "log", "entries")
    if not isinstance(entries, list):
        raise Unreadable("the HAR has no log.entries")
    allowed = Allowance(MOST, "requests", "the HAR")
    for number, entry in enumerate(entries, start=1):
        allowed.take()
        request = _at(entry, "request")
        method, url = _at(request, "method"), _at(request, "url")
        if not isinstance(method, str) or not isinstance(url, str):
            raise Unreadable(f"entry {number} of the HAR has no request with method and url")
        if url.startswith(_OF_HTTP):
            headers = list(_pairs(_at(request, "headers")))
            yield recorded(method, url, headers, _body(request), f"entry {number}")
        else:
            yield LeftOut("they went over no HTTP")


def _body(request: Any) -> str:
    """The body as text; the fields of a form where only those were kept."""
    text = _at(request, "postData", "text")
    if isinstance(text, str) and text:
        return text
    return urlencode(list(_pairs(_at(request, "postData", "params"))))


def _pairs(items: Any) -> Iterator[tuple[str, str]]:
    for item in items if isinstance(items, list) else ():
        name, value = _at(item, "name"), _at(item, "value")
        if isinstance(name, str) and isinstance(value, str):
            yield name, value


def _at(value: Any, *keys: str) -> Any:
    """What lies under keys of objects within each other; None where there is no such thing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
