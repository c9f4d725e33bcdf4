"""The `[[traffic]]` tables: weighted endpoints, with their templates checked against the feed and
the environment.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from perfhunt.errors import Unreadable
from perfhunt.model import redact
from perfhunt.model.question import Expect, Feed, RequestTemplate
from perfhunt.model.testfile.feed import feed
from perfhunt.model.testfile.strict import Reader, kind, show
from perfhunt.model.testfile.suggest import did_you_mean
from perfhunt.model.testfile.template import (
    bad_variables,
    columns_used,
    quote_around,
    unknown_modifiers,
    variables_used,
)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_REQUEST = re.compile(r"([A-Za-z]+)\s+(\S.*)")
_RAW_PATH = re.compile(r"\{\w+:raw\}")  # a row has the slash that a path begins with
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ENGINES_OWN = ("content-length", "transfer-encoding", "connection", "expect")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the file may refer to: the environment's variables, and the bytes of files beside it
    (`read` raises OSError).

    `base` is the directory that relative paths start from.
    """

    env: Mapping[str, str]
    read: Callable[[str], bytes]
    base: str = ""

    def path(self, name: str) -> str:
        return posixpath.join(self.base, name)


def read_traffic(top: Reader, around: Surroundings) -> tuple[RequestTemplate, ...]:
    """Every endpoint of the file, names unique; problems go to the reader. Without any, `GET /`
    alone.
    """
    tables = top.children("traffic", '[[traffic]] with request = "GET /"')
    if not top.has("traffic"):
        return (RequestTemplate(name="GET /", method="GET", path="/"),)
    endpoints: list[RequestTemplate] = []
    names: set[str] = set()
    alike: dict[tuple[str, str], list[str]] = {}  # by what a name shows of a request, the paths
    for table in tables:
        endpoint = _endpoint(table, around)
        paths = alike.setdefault((endpoint.method, redact.url(endpoint.path)), [])
        endpoint = _numbered(endpoint, paths, table.has("name"))
        paths.append(endpoint.path)
        if endpoint.name in names:
            table.wrong(
                "name",
                f"{endpoint.name!r} is the name of another endpoint too",
                "give each its own name",
            )
        names.add(endpoint.name)
        endpoints.append(endpoint)
    if not endpoints and not top.problems:
        top.wrong("traffic", "is an empty list", 'write [[traffic]] with request = "GET /"')
    return tuple(endpoints)


def _numbered(endpoint: RequestTemplate, alike: Sequence[str], named: bool) -> RequestTemplate:
    """The endpoint; one that nobody named and that differs from others (`alike`, their paths) only
    in values that its name does not show, with a number behind it.
    """
    if named or not alike or endpoint.path in alike:
        return endpoint
    return replace(endpoint, name=f"{endpoint.name} #{len(alike) + 1}")


def _endpoint(table: Reader, around: Surroundings) -> RequestTemplate:
    method, path = _request(table)
    name = table.text("name", f"{method} {redact.url(path)}")
    if not name.strip() or not name.isprintable():
        table.wrong(
            "name",
            f"{show(name)} is not a name that can be shown",
            'write for example name = "checkout"',
        )
    rows = _feed(table, around)
    headers = _headers(table)
    body, content_type = _body(table)
    if content_type and not any(key.lower() == "content-type" for key in headers):
        headers["Content-Type"] = content_type
    expect = _expect(table)
    endpoint = RequestTemplate(
        name=name,
        method=method,
        path=path,
        weight=_weight(table),
        headers=tuple(headers.items()),
        body=body,
        feed=rows,
        expect=expect,
    )
    _check_templates(table, endpoint, around)
    table.finish(
        {
            "latency": "in [slo] or [[slo.route]]",
            "timeout": "in [ramp]",
            "status": "in expect",
            "method": "in request",
        }
    )
    return endpoint


def _request(table: Reader) -> tuple[str, str]:
    example = 'write for example request = "GET /items?page={page}"'
    text = table.text("request", example='request = "GET /"')
    if not table.has("request"):
        table.wrong("request", "is missing", example)
    if not text:
        return "GET", "/"
    match = _REQUEST.fullmatch(text)
    method, path = (match[1], match[2]) if match else ("GET", text)
    if match is None:
        table.wrong(
            "request",
            f"{show(redact.url(text))} has no method",
            f'write request = "GET {redact.url(text)}"' if text.startswith("/") else example,
        )
    elif method not in METHODS:
        table.wrong("request", f"{method!r} is not a method", did_you_mean(method, METHODS))
    elif "://" in path.partition("?")[0] and not path.startswith("/"):
        table.wrong(
            "request",
            f"{show(redact.url(path))} names a host",
            "write the path only; the host is target.url",
        )
    elif not path.startswith("/") and not _RAW_PATH.match(path):
        table.wrong(
            "request",
            f"the path {show(redact.url(path))} does not start with /",
            f'write request = "{method} /{redact.url(path)}"',
        )
    elif not path.isascii() or not path.isprintable() or " " in path or "#" in path:
        table.wrong(
            "request",
            f"the path {show(redact.url(path))} holds a character that a request line cannot",
            "percent-encode it (a space is %20)",
        )
    return method, path


def _weight(table: Reader) -> float:
    value = table.raw("weight")
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1e9:
        table.wrong(
            "weight",
            f"{show(value)} is not a number above 0",
            "write weight = 1; to leave an endpoint out, delete it",
        )
        return 1.0
    return float(value)


def _feed(table: Reader, around: Surroundings) -> Feed | None:
    name = table.text("feed", example='feed = "rows.csv"')
    if not name:
        return None
    path = around.path(name)
    try:
        return feed(path, around.read(path))
    except Unreadable as error:
        table.wrong(
            "feed",
            f"{name}: {error}",
            "a feed is CSV with a header line, or JSON Lines with one object a line",
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        table.wrong(
            "feed",
            f"{name!r} cannot be read ({reason})",
            "paths start from the directory of the test file",
        )
    return None


def _headers(table: Reader) -> dict[str, str]:
    lines = table.child("headers", 'headers = { Accept = "application/json" }')
    headers: dict[str, str] = {}
    for key, value in (lines.table if lines else {}).items():
        assert lines is not None
        if not isinstance(value, str):
            lines.wrong(key, f"is {kind(value)}", "write it in quotes")
        elif not _HEADER_NAME.fullmatch(key):
            lines.wrong(key, "is not a header name", "letters, digits and dashes only")
        elif key.lower() in _ENGINES_OWN:
            lines.wrong(key, "is set by the load engine", "leave it out")
        elif any(ord(c) < 32 or ord(c) == 127 for c in value):
            lines.wrong(
                key,
                "holds a character that a header cannot",
                "printable characters only (sent as UTF-8), no line breaks",
            )
        elif any(key.lower() == other.lower() for other in headers):
            lines.wrong(key, "is given twice (header names ignore case)", "keep one")
        else:
            headers[key] = value
    return headers


def _body(table: Reader) -> tuple[str | None, str]:
    """The body as a template, and the Content-Type it implies ("" when none)."""
    given = [key for key in ("json", "form", "body") if table.has(key)]
    if len(given) > 1:
        table.wrong(
            given[1], f"there is already {given[0]}", "a request has one of json, form and body"
        )
    if not given:
        return None, ""
    if given[0] == "json":
        return _json_body(table), "application/json"
    if given[0] == "form":
        return _form_body(table), "application/x-www-form-urlencoded"
    return table.text("body", example='body = "text"'), ""


def _json_body(table: Reader) -> str | None:
    value = table.raw("json")
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError):
        table.wrong(
            "json",
            "holds a date, a time, inf or nan, which JSON does not have",
            'write it in quotes, like "2026-01-31"',
        )
        return None


def _form_body(table: Reader) -> str | None:
    fields = table.child("form", 'form = { sku = "A1" }')
    parts: list[str] = []
    for key, value in (fields.table if fields else {}).items():
        assert fields is not None
        if not isinstance(value, str):
            fields.wrong(key, f"is {kind(value)}", "write it in quotes")
        else:
            parts.append(f"{quote_around(key)}={quote_around(value)}")
    return "&".join(parts)


def _expect(table: Reader) -> Expect:
    lines = table.child("expect", "expect = { status = [200] }")
    if lines is None:
        return Expect()
    value: Any = lines.raw("status")
    codes = value if isinstance(value, list) else [] if value is None else [value]
    if (
        not all(
            isinstance(code, int) and not isinstance(code, bool) and 100 <= code <= 599
            for code in codes
        )
        or value == []
    ):
        lines.wrong(
            "status", f"{show(value)} is not a list of status codes", "write status = [200, 201]"
        )
        codes = []
    body = (
        lines.text("body", example='body = "text the answer must contain"')
        if lines.has("body")
        else None
    )
    if body == "":
        lines.wrong(
            "body",
            "is empty, and every answer contains that",
            "write the text that must be in the answer, or leave it out",
        )
    lines.finish()
    return Expect(tuple(sorted(set(codes))), body)


def _check_templates(table: Reader, endpoint: RequestTemplate, around: Surroundings) -> None:
    places = [("request", endpoint.path), ("body", endpoint.body or "")]
    places += [(f"headers.{key}", value) for key, value in endpoint.headers]
    known = endpoint.feed.columns if endpoint.feed else ()
    for where, text in places:
        if where == "body" and not table.has("body"):
            where = "json" if table.has("json") else "form"
        for column in columns_used(text):
            if column not in known and not (
                table.has("feed") and not known
            ):  # the unreadable feed was told already
                advice = (
                    did_you_mean(column, known)
                    if known
                    else 'add feed = "rows.csv" with that column'
                )
                literal = (
                    ""
                    if where == "request"
                    else f"; for the characters themselves write {{ {column} }} with spaces"
                )
                table.wrong(where, f"{{{column}}} is no column of the feed", advice + literal)
        for place in unknown_modifiers(text):
            name, _, how = place[1:-1].partition(":")
            table.wrong(
                where,
                f"{place}: there is no {how!r}",
                f"write {{{name}}}, {{{name}:raw}} or {{{name}:encoded}}; for the characters"
                f" themselves {{ {name}:{how} }} with spaces",
            )
        _check_variables(table, where, text, around.env)
    if known and not any(columns_used(text) or unknown_modifiers(text) for _, text in places):
        table.wrong(
            "feed",
            "no column of it is used",
            f"write {{{known[0]}}} where its value goes, or leave the feed out",
        )


def _cut_variable(mistake: str) -> str:
    """What of a `${NAME:-value}` may be repeated: its beginning."""
    match = re.match(r"\$\{\s*\w*", mistake)
    return f"{match[0] if match else '$'}…"


def _check_variables(table: Reader, where: str, text: str, env: Mapping[str, str]) -> None:
    for mistake in bad_variables(text):
        table.wrong(
            where,
            f"{show(_cut_variable(mistake))} is not a variable",
            "write ${NAME} with letters, digits and underscores",
        )
    for name in variables_used(text):
        if where == "request":
            table.wrong(
                where,
                f"${{{name}}} cannot be in a path, which is stored and shown",
                "put it in a header or a body",
            )
        elif name not in env:
            table.wrong(where, f"the environment has no {name}", f"set it: export {name}=...")
        elif any("\ud800" <= c <= "\udfff" for c in env[name]):
            table.wrong(
                where,
                f"the value of {name} holds bytes that are not UTF-8, which is what is sent",
                f"export {name} in UTF-8",
            )
        elif where.startswith("headers.") and any(ord(c) < 32 or ord(c) == 127 for c in env[name]):
            table.wrong(
                where,
                f"the value of {name} holds a line break or control character",
                f"export {name} without it",
            )
