"""The `[[traffic]]` tables: weighted endpoints and journeys of several steps, with their templates
checked against the feed and the environment.
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
from perfhunt.model.question import RequestTemplate
from perfhunt.model.testfile.body import given_boundary, is_multipart, read_body
from perfhunt.model.testfile.feed import feed, is_place
from perfhunt.model.testfile.strict import Reader, did_you_mean, kind, show
from perfhunt.model.testfile.template import check_templates, columns_used
from perfhunt.model.testfile.thresholds import is_blank
from perfhunt.model.traffic.parts import Expect, Feed
from perfhunt.model.units import Seconds, format_duration

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_REQUEST = re.compile(r"([A-Za-z]+)\s+(\S.*)")
MOST_STEPS = 50  # of one journey: each is a route of its own
# Of one journey: so much of every load is not counted, since before that it is not whole.
MOST_THINK: Seconds = 10.0
_EXTRACT = 'extract = { token = "json:$.token" }'
_COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RAW_PATH = re.compile(r"\{\w+:raw\}")  # a row has the slash that a path begins with
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
STEP_KEYS = ("method", "headers", "json", "form", "body", "expect", "extract", "think")
_ELSEWHERE = {
    "latency": "in [slo] or [[slo.route]]",
    "timeout": "in [ramp]",
    "status": "in expect",
    "method": "in request",
    "extract": "in [login], or in steps of [[traffic]]",
    "think": "in steps of [[traffic]]",
}
_IN_STEPS = _ELSEWHERE | dict.fromkeys(("weight", "feed", "sessions"), "beside steps")
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


def read_traffic(
    top: Reader, around: Surroundings, login: Sequence[str] | None = None
) -> tuple[RequestTemplate, ...]:
    """Every endpoint of the file, names unique; problems go to the reader. Without any, `GET /`
    alone. `login` are the columns that the login fills; None: there is none.
    """
    tables = top.children("traffic", '[[traffic]] with request = "GET /"')
    if not top.has("traffic"):
        return (RequestTemplate(name="GET /", method="GET", path="/"),)
    endpoints: list[RequestTemplate] = []
    names: set[str] = set()
    alike: dict[tuple[str, str], list[str]] = {}  # by what a name shows of a request, the paths
    for table in tables:
        steps: list[RequestTemplate] = []
        for own, step in _entry(table, around, login):
            paths = alike.setdefault((step.method, redact.url(step.path)), [])
            step = _numbered(step, paths, own.has("name"))
            paths.append(step.path)
            if step.name in names:
                own.wrong(
                    "name",
                    f"{step.name!r} is the name of another endpoint too",
                    "give each its own name",
                )
            names.add(step.name)
            steps.append(step)
        endpoints += [replace(first, then=tuple(steps[1:])) for first in steps[:1]]
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


def _entry(
    table: Reader, around: Surroundings, login: Sequence[str] | None
) -> list[tuple[Reader, RequestTemplate]]:
    """The request of one `[[traffic]]`, or its steps, each with its table; the first has the weight
    and the feed.
    """
    if not table.has("steps"):
        return [(table, read_request(table, around, login or (), _sources(login)))]
    weight, before = _weight(table), len(table.problems)
    steps = read_steps(table, around, login)
    used = {column for _, step in steps for text in step.texts for column in columns_used(text)}
    for own, step in steps if len(table.problems) == before else ():
        for name in sorted({name for name, _ in step.extract} - used):
            own.wrong(f"extract.{name}", "is used by no step", f"write {{{name}}} in a later one")
    thinks = sum(step.think for _, step in steps)
    if thinks > MOST_THINK:
        table.wrong(
            "steps",
            f"think for {format_duration(thinks)} together,"
            f" more than the {format_duration(MOST_THINK)} that one journey may",
            "make it shorter, or take a locustfile",
        )
    return [
        (own, replace(step, weight=weight) if own is steps[0][0] else step) for own, step in steps
    ]


def _sources(login: Sequence[str] | None) -> str:
    return "the feed" if login is None else "the feed or the login"


def read_steps(
    table: Reader, around: Surroundings, login: Sequence[str] | None = None
) -> list[tuple[Reader, RequestTemplate]]:
    """The `steps` of a table, each with its own; the first has the feed beside them. Problems go to
    the reader.
    """
    rows, name = _feed(table, around), table.text("name")
    filled = (*(rows.columns if rows else ()), *(login or ()))
    of = f"{_sources(login)}, and no step before extracts it"
    example = 'steps = [{ request = "POST /cart" }, { request = "POST /pay" }]'
    extracted: dict[str, None] = {}
    steps: list[tuple[Reader, RequestTemplate]] = []
    for own in table.children("steps", example):
        known, unread = (*filled, *extracted), table.has("feed") and rows is None
        step = read_request(own, around, known, of, StepPlace(name, not steps, unread))
        for column, _ in step.extract:
            if column in filled:
                own.wrong(f"extract.{column}", f"is a column of {_sources(login)}", "rename it")
        extracted |= dict.fromkeys(column for column, _ in step.extract if column not in filled)
        steps.append((own, step if steps else replace(step, feed=rows)))
    if not 1 <= len(steps) <= MOST_STEPS and isinstance(table.raw("steps"), list):
        table.wrong("steps", f"are {len(steps)}", f"write 1 to {MOST_STEPS}: {example}")
    used = {column for _, step in steps for text in step.texts for column in columns_used(text)}
    if rows and steps and not used & set(rows.columns):
        table.wrong("feed", "no column of it is used", f"write {{{rows.columns[0]}}} in a step")
    table.finish(dict.fromkeys((*STEP_KEYS, "request"), "in each of the steps"))
    return steps


@dataclass(frozen=True, slots=True)
class StepPlace:
    """Where a step stands: in the journey of that `name`, as its `first`; `unread`: the feed beside
    the steps cannot be read, which was told.
    """

    name: str
    first: bool
    unread: bool


def read_request(
    table: Reader,
    around: Surroundings,
    filled: Sequence[str],
    of: str,
    place: StepPlace | None = None,
) -> RequestTemplate:
    """One request, with its weight and feed unless it is a step at a `place`; problems go to the
    reader. `filled` are columns beside those of its feed, `of` what all of them are of.
    """
    method, path = _request(table)
    usual = f"{method} {redact.url(path)}"
    name = table.text("name", f"{place.name}: {usual}" if place and place.name else usual)
    if not name.strip() or not name.isprintable():
        table.wrong(
            "name",
            f"{show(name)} is not a name that can be shown",
            'write for example name = "checkout"',
        )
    rows = None if place else _feed(table, around)
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
    endpoint = RequestTemplate(
        name=name,
        method=method,
        path=path,
        weight=1.0 if place else _weight(table),
        headers=tuple(headers.items()),
        body=body.text,
        feed=rows,
        expect=_expect(table),
        parts=body.parts,
        extract=read_extract(table) if place else (),
        think=_think(table, place) if place else 0.0,
    )
    unread = place.unread if place else table.has("feed") and rows is None
    columns = (*(rows.columns if rows else ()), *filled)
    check_templates(table, endpoint, columns, of, around.env, unread)
    table.finish(_IN_STEPS if place else _ELSEWHERE)
    return endpoint


def read_extract(table: Reader) -> tuple[tuple[str, str], ...]:
    """Names of columns, each with where in an answer its value is; problems go to the reader."""
    lines = table.child("extract", _EXTRACT)
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
    return tuple(values)


def _think(table: Reader, place: StepPlace) -> Seconds:
    if place.first and table.has("think"):
        table.wrong("think", "comes before the first step", "write it in the step that waits")
    return table.duration("think", 0.0, "1s")


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
