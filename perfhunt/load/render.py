"""Requests as bytes, rendered before the load starts: one payload per endpoint and feed row."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perfhunt.errors import TrafficError, Unreadable
from perfhunt.model.question import RequestTemplate
from perfhunt.model.testfile.body import LARGEST_BODY, given_boundary, is_multipart
from perfhunt.model.testfile.feed import FeedRow, parse_feed
from perfhunt.model.testfile.template import (
    as_is,
    body_escape,
    columns_unsaid,
    columns_used,
    fill,
    in_path,
    in_quotes,
    variables_used,
)
from perfhunt.model.traffic.parts import BodyPart
from perfhunt.model.units import Bytes
from perfhunt.store.files import LARGEST, regular_bytes
from perfhunt.version import __version__

EAGER = 20_000  # feed rows rendered beforehand; larger feeds are rendered when first sent
EAGER_BYTES: Bytes = 256 << 20  # of those, as much as a feed may have
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
_NO_TARGET = re.compile(r"[^!-~]")  # characters that no request line may hold (RFC 9112, 3.2)
_NO_ROW: FeedRow = {}
# What a name for one segment of a path seldom holds, and a recorded path does.
_OF_PATHS = re.compile(r"[/?]|%[0-9A-Fa-f]{2}")


@dataclass(slots=True)
class Payloads:
    """The bytes of one endpoint's requests, by row. `rows` is 1 without a feed; each is in one of
    the `sessions`, if there are any, so there are as many as of the more numerous.
    """

    endpoint: RequestTemplate
    host: str
    marks: tuple[tuple[str, str], ...]
    env: Mapping[str, str]
    feed: Sequence[FeedRow] = (_NO_ROW,)
    sessions: Sequence[FeedRow] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)  # of its parts, by path
    boundary: str = ""  # between its parts; occurs in none of its files
    made: dict[int, bytes] = field(default_factory=dict)
    kept: Bytes = 0  # of what was made

    @property
    def rows(self) -> int:
        return max(len(self.feed), len(self.sessions))

    def values(self, row: int) -> FeedRow:
        """What fills the request of a row."""
        fed = self.feed[row % len(self.feed)]
        return self.sessions[row % len(self.sessions)] | fed if self.sessions else fed

    def filled(self, values: FeedRow, cookie: Callable[[str], str]) -> bytes:
        """The request with these values, whole; `cookie` gives the Cookie header for its path, and
        counts unless it has its own. Raises ValueError for a value that no request line or header
        can hold.
        """
        return _render(self, values, cookie)

    def get(self, row: int) -> bytes:
        """The request of a row, whole."""
        payload = self.made.get(row)
        if payload is None:
            payload = _render(self, self.values(row))
            if len(self.made) < EAGER and (not self.made or self.kept < EAGER_BYTES):
                self.made[row] = payload
                self.kept += len(payload)
        return payload


def prepare(
    endpoint: RequestTemplate,
    authority: str,
    run: str,
    env: Mapping[str, str],
    sessions: Sequence[FeedRow] = (),
) -> Payloads:
    """The endpoint's payloads, the first of them rendered already.

    `authority` is what the Host header says unless the endpoint sets its own; `sessions` fill what
    no feed of its own does, each row with one of them. Raises TrafficError
    when a variable is not set or the feed or a file cannot be read, is not what the question
    pinned, or lacks a column.
    """
    marks = (("User-Agent", f"perfhunt/{__version__} (run={run})"), ("X-Perfhunt-Run", run))
    rows = _rows(endpoint)
    within = _sessions_of(endpoint, rows, sessions)
    payloads = _unrendered(endpoint, authority, marks, env, rows, within)
    _refuse_whole_paths(endpoint, payloads.feed)
    try:
        for row in range(min(payloads.rows, EAGER)):
            payloads.get(row)
            if row not in payloads.made:
                break
    except KeyError as error:
        raise TrafficError(
            f"{endpoint.name}: nothing fills {error.args[0]!r}",
            "Set it in the environment, or add it to the feed.",
        ) from None
    except ValueError as error:
        raise TrafficError(
            f"{endpoint.name}: {error}", "A path or header must stay on one line."
        ) from None
    return payloads


def prepare_later(step: RequestTemplate, first: Payloads) -> Payloads:
    """The payloads of a later step of the journey that begins with `first`; they have no rows, and
    are `filled` from what it was answered. Raises TrafficError as `prepare`.
    """
    _refuse_whole_paths(step, first.feed)
    for name in {name for text in step.texts for name in variables_used(text)} - first.env.keys():
        raise TrafficError(f"{step.name}: nothing fills {name!r}", "Set it in the environment.")
    return _unrendered(step, first.host, first.marks, first.env)


def _unrendered(
    endpoint: RequestTemplate,
    host: str,
    marks: tuple[tuple[str, str], ...],
    env: Mapping[str, str],
    rows: Sequence[FeedRow] = (_NO_ROW,),
    sessions: Sequence[FeedRow] = (),
) -> Payloads:
    files = {
        part.file.path: _pinned(endpoint, "file", part.file.path, part.file.sha256, LARGEST_BODY)
        for part in endpoint.parts
        if part.file
    }
    return Payloads(
        endpoint=endpoint,
        host=host,
        marks=marks,
        env=env,
        feed=rows,
        sessions=sessions,
        files=files,
        boundary=_boundary(endpoint, files.values()) if is_multipart(endpoint.parts) else "",
    )


def path_of(payload: bytes) -> str:
    """The path of a rendered request."""
    return payload[: payload.index(b"\r\n")].split(b" ")[1].decode()


def _refuse_whole_paths(endpoint: RequestTemplate, rows: Sequence[FeedRow]) -> None:
    """A column of paths would go into one segment of a path, its slashes encoded. Raises
    TrafficError.
    """
    for column in columns_unsaid(endpoint.path.partition("?")[0]):
        values = [row.get(column, "") for row in rows]
        if all(_OF_PATHS.search(value) for value in values):
            before = endpoint.path.partition(f"{{{column}}}")[0]
            whole = before == "/" and all(value.startswith("/") for value in values)
            raw = f"{'' if whole else before}{{{column}:raw}}"
            raise TrafficError(
                f"{endpoint.name}: {{{column}}} holds whole paths, which would be percent-encoded,"
                " each / as %2F",
                f'For paths as they have to be sent: request = "{endpoint.method} {raw}"; to encode'
                f" them all the same: {{{column}:encoded}}",
            )


def _rows(endpoint: RequestTemplate) -> Sequence[FeedRow]:
    if endpoint.feed is None:
        return (_NO_ROW,)
    content = _pinned(endpoint, "feed", endpoint.feed.path, endpoint.feed.sha256, LARGEST)
    try:
        return parse_feed(endpoint.feed.path, content)
    except Unreadable as error:
        raise _unusable(endpoint, "feed", endpoint.feed.path, error) from None


def _sessions_of(
    endpoint: RequestTemplate, rows: Sequence[FeedRow], sessions: Sequence[FeedRow]
) -> Sequence[FeedRow]:
    """The sessions, where the endpoint uses a column that is none of its own rows'."""
    used = {column for text in endpoint.texts for column in columns_used(text)}
    extracted = {name for step in endpoint.steps for name, _ in step.extract}
    return sessions if used - rows[0].keys() - extracted else ()


def _pinned(endpoint: RequestTemplate, what: str, path: str, sha256: str, most: Bytes) -> bytes:
    """The bytes of a file that the question names. Raises TrafficError for others than
    it pinned.
    """
    try:
        content = regular_bytes(Path(path), most)
    except (OSError, Unreadable) as error:
        raise _unusable(endpoint, what, path, error) from None
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise TrafficError(
            f"{endpoint.name}: the {what} {path} changed after the test file was read",
            "Start again.",
        )
    return content


def _unusable(endpoint: RequestTemplate, what: str, path: str, error: Exception) -> TrafficError:
    return TrafficError(f"{endpoint.name}: the {what} {path} cannot be used: {error}")


def _no_cookie(path: str) -> str:
    """Requests by themselves keep none."""
    return ""


def _render(payloads: Payloads, row: FeedRow, cookie: Callable[[str], str] = _no_cookie) -> bytes:
    endpoint, env = payloads.endpoint, payloads.env
    path = fill(endpoint.path, row, env, in_path)
    headers = {name: fill(value, row, env, as_is) for name, value in endpoint.headers}
    given = {name.lower() for name in headers}
    body = b""
    if is_multipart(endpoint.parts):
        body, boundary = _multipart(payloads, row)
        if "content-type" not in given:
            headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
    elif endpoint.parts:
        body = _content(endpoint.parts[0], payloads, row)
    elif endpoint.body is not None:
        kind = next((v for k, v in headers.items() if k.lower() == "content-type"), "")
        body = fill(endpoint.body, row, env, body_escape(kind)).encode()
    lines = [f"{endpoint.method} {path} HTTP/1.1"]
    if "host" not in given:
        lines.append(f"Host: {payloads.host}")
    lines += [f"{k}: {v}" for k, v in payloads.marks if k.lower() not in given]
    if "accept" not in given:
        lines.append("Accept: */*")
    lines += [f"{k}: {v}" for k, v in headers.items()]
    if "cookie" not in given and (kept := cookie(path)):
        lines.append(f"Cookie: {kept}")
    if (body or endpoint.method in _BODY_METHODS) and not given & {
        "content-length",
        "transfer-encoding",
    }:
        lines.append(f"Content-Length: {len(body)}")
    if not path.startswith("/") or _NO_TARGET.search(path):
        raise ValueError(
            "a row gives a path that does not begin with / or holds a character that a request line"
            " cannot (a space is %20)"
        )
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a value holds a line break, which would end the header")
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body


def _content(part: BodyPart, payloads: Payloads, row: FeedRow) -> bytes:
    if part.file is not None:
        return payloads.files[part.file.path]
    return fill(part.text, row, payloads.env, body_escape(part.type)).encode()


def _part_head(part: BodyPart, payloads: Payloads, row: FeedRow) -> bytes:
    said = [("name", fill(part.name, row, payloads.env))]
    if part.file is not None:
        own = Path(part.file.path).name
        said.append(("filename", fill(part.filename, row, payloads.env) if part.filename else own))
    lines = "; ".join(["form-data", *(f'{key}="{in_quotes(value)}"' for key, value in said)])
    kind = f"\r\nContent-Type: {part.type}" if part.type else ""
    return f"Content-Disposition: {lines}{kind}\r\n\r\n".encode()


def _multipart(payloads: Payloads, row: FeedRow) -> tuple[bytes, str]:
    """The parts of a form as one body (RFC 7578), and the boundary between them."""
    parts = payloads.endpoint.parts
    heads = [_part_head(part, payloads, row) for part in parts]
    contents = [_content(part, payloads, row) for part in parts]
    filled = [c for part, c in zip(parts, contents, strict=True) if part.file is None]
    boundary = payloads.boundary  # which is in no file
    if any(boundary.encode() in text for text in (*heads, *filled)):
        boundary = _boundary(payloads.endpoint, (*heads, *contents))
    line = f"--{boundary}".encode()
    pieces = zip(heads, contents, strict=True)
    body = b"".join(line + b"\r\n" + head + content + b"\r\n" for head, content in pieces)
    return body + line + b"--\r\n", boundary


def _boundary(endpoint: RequestTemplate, contents: Collection[bytes]) -> str:
    """What stands between the parts of an endpoint's body and occurs in none of the contents: what
    its Content-Type names, else a digest, so that the same parts are always the same bytes.

    Raises TrafficError when the named one occurs.
    """
    kind = next((v for k, v in endpoint.headers if k.lower() == "content-type"), "")
    named = given_boundary(kind)
    seed = repr(
        [part.pinned("", part.file.sha256) if part.file else part for part in endpoint.parts]
    )
    boundary = named or _digest(seed)
    while any(boundary.encode() in content for content in contents):
        if named:
            raise TrafficError(
                f"{endpoint.name}: the boundary of its Content-Type occurs in its body",
                "Leave that header out: it is made with the body.",
            )
        boundary = _digest(boundary)
    return boundary


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
