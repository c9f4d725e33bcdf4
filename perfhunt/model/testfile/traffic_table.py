"""The `[[traffic]]` tables: weighted endpoints, with their templates checked against the feed and
the environment.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from perfhunt.errors import Unreadable
from perfhunt.model import redact
from perfhunt.model.question import Expect, Feed, RequestTemplate
from perfhunt.model.testfile.body import given_boundary, is_multipart, read_body
from perfhunt.model.testfile.feed import feed, is_place
from perfhunt.model.testfile.strict import Reader, did_you_mean, kind, show
from perfhunt.model.testfile.template import check_templates
from perfhunt.model.testfile.thresholds import is_blank

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_REQUEST = re.compile(r"([A-Za-z]+)\s+(\S.*)")
MOST_SESSIONS = 1000  # each is a request before the load
_COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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


@dataclass(frozen=True, slots=True)
class Login:
    """The `[login]` table: what is asked before the load, how many times (0: once for each row),
    and where in each answer the values of a session stand.
    """

    request: RequestTemplate | None = None
    values: tuple[tuple[str, str], ...] = ()
    sessions: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """What it fills in other requests."""
        fed = self.request.feed.columns if self.request and self.request.feed else ()
        return (*fed, *(name for name, _ in self.values))


NO_LOGIN = Login()


def read_login(top: Reader, around: Surroundings) -> Login:
    """The login, if there is one; problems go to the reader."""
    table = top.child("login", '[login] with request = "POST /login"')
    if table is None:
        return NO_LOGIN
    example = 'extract = { token = "json:$.token" }'
    lines = table.child("extract", example)
    if lines is None or not lines.table:
        table.wrong("extract", "says nothing that the traffic could use", f"write {example}")
    values: list[tuple[str, str]] = []
    for name, place in lines.table.items() if lines else ():
        assert lines is not None
        if not _COLUMN_NAME.fullmatch(name):
            lines.wrong(name, "is no name for a column", "letters, digits and underscores only")
        elif not isinstance(place, str) or not is_place(place):
            lines.wrong(
                name,
                f"{show(place)} is no place in an answer",
                'write "json:$.token", "header:X-Token" or "cookie:sid"',
            )
        else:
            values.append((name, place))
    sessions = table.integer("sessions", 0, low=1, high=MOST_SESSIONS)
    if table.has("weight"):
        table.wrong("weight", "has no meaning here", "write how many: sessions = 10")
    request = _endpoint(table, around, NO_LOGIN)
    login = Login(request, tuple(values), sessions)
    for name in {name for name in login.columns if login.columns.count(name) > 1}:
        table.wrong(f"extract.{name}", "is a column of its feed, too", "give it another name")
    return login


def read_traffic(
    top: Reader, around: Surroundings, login: Login = NO_LOGIN
) -> tuple[RequestTemplate, ...]:
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
        endpoint = _endpoint(table, around, login)
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


def _endpoint(table: Reader, around: Surroundings, login: Login) -> RequestTemplate:
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
    body = read_body(table, partial(_beside, around=around))
    given = next((value for key, value in headers.items() if key.lower() == "content-type"), None)
    if given is None and body.content_type:
        headers["Content-Type"] = body.content_type
    if given is not None and is_multipart(body.parts) and not given_boundary(given):
        table.wrong(
            "headers.Content-Type",
            "names no boundary, so nobody could tell the parts of the body apart",
            "leave it out: it is made with the body",
        )
    expect = _expect(table)
    endpoint = RequestTemplate(
        name=name,
        method=method,
        path=path,
        weight=_weight(table),
        headers=tuple(headers.items()),
        body=body.text,
        feed=rows,
        expect=expect,
        parts=body.parts,
    )
    check_templates(
        table,
        endpoint,
        (*(rows.columns if rows else ()), *login.columns),
        "the feed or the login" if login.request else "the feed",
        around.env,
    )
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
    if is_blank(text):
        table.wrong("request", "is still blank, and only a person can choose one", example)
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
    read = _beside(table, "feed", around)
    if read is None:
        return None
    try:
        return feed(*read)
    except Unreadable as error:
        table.wrong(
            "feed",
            f"{table.text('feed')}: {error}",
            "a feed is CSV with a header line, or JSON Lines with one object a line",
        )
    return None


def _beside(table: Reader, key: str, around: Surroundings) -> tuple[str, bytes] | None:
    """The path and the bytes of the file that is named at a key; None, and told, without."""
    name = table.text(key, example=f'{key} = "{"rows.csv" if key == "feed" else "photo.jpg"}"')
    if not name:
        if table.table.get(key) == "" and key != "feed":
            table.wrong(key, "is empty", f'write for example {key} = "photo.jpg"')
        return None
    path = around.path(name)
    try:
        return path, around.read(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        table.wrong(
            key,
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
