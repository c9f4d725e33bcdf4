"""Access logs: the common and combined formats of Apache and nginx and those like them (uvicorn,
Traefik, AWS load balancers), and lines of JSON (nginx, Caddy, Traefik, pino).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import json_value, numbered
from perfhunt.model.recorded.request import MOST, LeftOut, RecordedRequest, recorded

# A quote within the request is `\"` (Apache) or `\x22` (nginx).
_REQUEST = re.compile(r'"([A-Z]{3,10}) ((?:[^"\\\s]|\\.)+) HTTP/[0-9.]+"')
_ESCAPE = re.compile(r'\\(?:x([0-9A-Fa-f]{2})|(["\\]))')
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # werkzeug's
_METHOD_KEYS = ("method", "request_method", "verb", "http_method", "RequestMethod", "requestMethod")
_PATH_KEYS = ("request_uri", "uri", "path", "url", "target", "RequestPath", "requestUrl")
_QUERY_KEYS = ("args", "query", "query_string")
_WITHIN = ("request", "req", "httpRequest")  # where a line of JSON has the request as an object
_REPEATED = frozenset({"GET", "HEAD"})  # a log has no bodies
# Of the lines of a log, how many may be something else: the odd attack, a line that was cut.
_ODD = 0.5


def read_access_log(text: str, most: int = MOST) -> Iterator[RecordedRequest | LeftOut]:
    """The GET and HEAD requests of a log's first `most` lines, in order: it holds no body that
    others could be sent with. Raises Unreadable where most lines are no requests.
    """
    lines = odd = beyond = 0
    for number, line in numbered(text, "the access log"):
        if not line.strip():
            continue
        if lines == most:
            beyond += 1
            continue
        lines += 1
        found = _found(_COLOUR.sub("", line))
        if found is None:
            odd += 1
            yield LeftOut("their lines hold no request")
        elif found[0] not in _REPEATED:
            yield LeftOut("a log has no bodies to send with them")
        else:
            yield _sent(*found, where=f"line {number}")
    if odd > _ODD * lines or not lines:
        raise Unreadable(f"the access log: {odd} of {lines} lines hold no request")
    if beyond:
        yield LeftOut(f"only the first {most:,} lines of a log are read", n=beyond)


def _sent(method: str, path: str, where: str) -> RecordedRequest | LeftOut:
    try:
        return recorded(method, path, where=where)
    except Unreadable:
        return LeftOut("they ask for no path")


def _found(line: str) -> tuple[str, str] | None:
    """Method and path of a line."""
    if not line.lstrip().startswith("{"):
        match = _REQUEST.search(line)
        return (match[1], _unescaped(match[2])) if match else None
    try:
        value = json_value(line, "the line")
    except Unreadable:
        return None
    if isinstance(value.get("request"), str):  # nginx's own $request
        words: list[str] = value["request"].split(" ")
        return (words[0], words[1]) if len(words) > 1 else None
    for inner in (value.get(key) for key in _WITHIN):
        if isinstance(inner, dict):
            value = inner
    method, path = _first(value, _METHOD_KEYS), _first(value, _PATH_KEYS)
    query = _first(value, _QUERY_KEYS).removeprefix("?")
    if query and query != "-" and "?" not in path:
        path = f"{path}?{query}"
    return (method.upper(), path) if method and path else None


def _first(value: Any, keys: tuple[str, ...]) -> str:
    return next((value[key] for key in keys if isinstance(value.get(key), str)), "")


def _unescaped(path: str) -> str:
    """What was logged as `\\x22` or `\\"`; bytes that are no ASCII as lone surrogates."""
    return _ESCAPE.sub(
        lambda m: bytes([int(m[1], 16)]).decode("ascii", "surrogateescape") if m[1] else m[2], path
    )
