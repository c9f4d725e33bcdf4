"""Access logs: the common and combined formats of Apache and nginx, and lines of JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance, json_value, numbered
from perfhunt.model.recorded.request import MOST, LeftOut, RecordedRequest, recorded

_REQUEST = re.compile(r'"([A-Z]{3,10}) (\S+) HTTP/[0-9.]+"')
_METHOD_KEYS = ("method", "request_method", "verb", "http_method")
_PATH_KEYS = ("request_uri", "uri", "path", "url", "target")
_REPEATED = frozenset({"GET", "HEAD"})  # a log has no bodies
# Of the lines of a log, how many may be something else: the odd attack, a line that was cut.
_ODD = 0.5


def read_access_log(text: str) -> Iterator[RecordedRequest | LeftOut]:
    """The GET and HEAD requests of a log, in order: it holds no body that others could be sent
    with. Raises Unreadable where most lines are no requests.
    """
    allowed = Allowance(MOST, "lines", "the access log")
    lines = odd = 0
    for number, line in numbered(text, "the access log"):
        if not line.strip():
            continue
        lines += 1
        found = _found(line)
        allowed.take()
        if found is None:
            odd += 1
            yield LeftOut("their lines hold no request")
        elif found[0] not in _REPEATED:
            yield LeftOut("a log has no bodies to send with them")
        elif not found[1].startswith("/"):
            yield LeftOut("they ask for no path")
        else:
            yield recorded(*found, where=f"line {number}")
    if odd > _ODD * lines or not lines:
        raise Unreadable(f"the access log: {odd} of {lines} lines hold no request")


def _found(line: str) -> tuple[str, str] | None:
    """Method and path of a line."""
    if match := _REQUEST.search(line):
        return match[1], match[2]
    if not line.lstrip().startswith("{"):
        return None
    try:
        value = json_value(line, "the line")
    except Unreadable:
        return None
    if isinstance(value.get("request"), str):  # nginx's own $request
        words: list[str] = value["request"].split(" ")
        return (words[0], words[1]) if len(words) > 1 else None
    method, path = _first(value, _METHOD_KEYS), _first(value, _PATH_KEYS)
    return (method.upper(), path) if method and path else None


def _first(value: Any, keys: tuple[str, ...]) -> str:
    return next((value[key] for key in keys if isinstance(value.get(key), str)), "")
