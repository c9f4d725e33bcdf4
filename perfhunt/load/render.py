"""Requests as bytes, rendered before the load starts: one payload per endpoint and feed row."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perfhunt.errors import TrafficError, Unreadable
from perfhunt.model.question import RequestTemplate
from perfhunt.model.testfile.feed import FeedRow, parse_feed
from perfhunt.model.testfile.template import (
    as_is,
    body_escape,
    columns_unsaid,
    fill,
    in_path,
)
from perfhunt.store.files import regular_bytes
from perfhunt.version import __version__

EAGER = 20_000  # feed rows rendered beforehand; larger feeds are rendered when first sent
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
_NO_TARGET = re.compile(r"[^!-~]")  # characters that no request line may hold (RFC 9112, 3.2)
_NO_ROW: FeedRow = {}
# What a name for one segment of a path seldom holds, and a recorded path does.
_OF_PATHS = re.compile(r"[/?]|%[0-9A-Fa-f]{2}")


@dataclass(slots=True)
class Payloads:
    """The bytes of one endpoint's requests, by feed row. `rows` is 1 without a feed."""

    endpoint: RequestTemplate
    host: str
    marks: tuple[tuple[str, str], ...]
    env: Mapping[str, str]
    feed: Sequence[FeedRow] = (_NO_ROW,)
    made: dict[int, bytes] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(self.feed)

    def get(self, row: int) -> bytes:
        """The request for feed row `row`, whole."""
        payload = self.made.get(row)
        if payload is None:
            payload = _render(self, self.feed[row])
            if len(self.made) < EAGER:
                self.made[row] = payload
        return payload


def prepare(
    endpoint: RequestTemplate, authority: str, run: str, env: Mapping[str, str]
) -> Payloads:
    """The endpoint's payloads, the first of them rendered already.

    `authority` is what the Host header says unless the endpoint sets its own. Raises TrafficError
    when a variable is not set or the feed cannot be read, is not what the question pinned, or lacks
    a column.
    """
    marks = (("User-Agent", f"perfhunt/{__version__} (run={run})"), ("X-Perfhunt-Run", run))
    payloads = Payloads(
        endpoint=endpoint, host=authority, marks=marks, env=env, feed=_rows(endpoint)
    )
    _refuse_whole_paths(endpoint, payloads.feed)
    try:
        for row in range(min(payloads.rows, EAGER)):
            payloads.get(row)
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
    path = Path(endpoint.feed.path)
    try:
        content = regular_bytes(path)
        rows = parse_feed(endpoint.feed.path, content)
    except (OSError, Unreadable) as error:
        raise TrafficError(f"{endpoint.name}: the feed {path} cannot be used: {error}") from None
    if endpoint.feed.sha256 and hashlib.sha256(content).hexdigest() != endpoint.feed.sha256:
        raise TrafficError(
            f"{endpoint.name}: the feed {path} changed after the test file was read", "Start again."
        )
    return rows


def _render(payloads: Payloads, row: FeedRow) -> bytes:
    endpoint, env = payloads.endpoint, payloads.env
    path = fill(endpoint.path, row, env, in_path)
    headers = {name: fill(value, row, env, as_is) for name, value in endpoint.headers}
    given = {name.lower() for name in headers}
    body = b""
    if endpoint.body is not None:
        kind = next((v for k, v in headers.items() if k.lower() == "content-type"), "")
        body = fill(endpoint.body, row, env, body_escape(kind)).encode()
    lines = [f"{endpoint.method} {path} HTTP/1.1"]
    if "host" not in given:
        lines.append(f"Host: {payloads.host}")
    lines += [f"{k}: {v}" for k, v in payloads.marks if k.lower() not in given]
    if "accept" not in given:
        lines.append("Accept: */*")
    lines += [f"{k}: {v}" for k, v in headers.items()]
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
