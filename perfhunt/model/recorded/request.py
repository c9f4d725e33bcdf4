"""One request as it was recorded, and what of it a test file sends again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from perfhunt.errors import Unreadable
from perfhunt.model.testfile.template import columns_used
from perfhunt.model.testfile.testfile import url_problem

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MOST = 200_000  # requests of one file: an hour at 50/s
# What a browser or a proxy adds by itself, and what the engine sets.
_LEFT_OUT = re.compile(
    r":.*|host|connection|content-length|transfer-encoding|expect|keep-alive|te|trailer|upgrade.*"
    r"|proxy-.*|user-agent|accept-encoding|accept-language|referer|origin|cache-control|pragma"
    r"|sec-.*|dnt|priority|if-.*|x-forwarded-.*|x-perfhunt-.*",
    re.IGNORECASE,
)
_SECRET = re.compile(r"auth|cookie|token|secret|session|key|password|credential|csrf|xsrf", re.I)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request: `target` is its path and query as they were sent, `origin` where it went
    (`http://host:port`, "": not recorded). Header values that may be secret, or that a test file
    cannot hold, are `${NAME}`.
    """

    method: str
    origin: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""


class LeftOut(NamedTuple):
    """What was recorded and is not sent again, by the reason: `a log has no bodies`; `what` is its
    name where it has one.
    """

    why: str
    what: str = ""


def recorded(
    method: str, url: str, headers: Iterable[tuple[str, str]] = (), body: str = "", where: str = ""
) -> RecordedRequest:
    """A request that was recorded with a url, or with a path only. Raises Unreadable, saying
    `where` in the file, for one that cannot be sent again.
    """
    try:
        parts = urlsplit(url.strip())
        host = parts.netloc.rpartition("@")[2]
    except ValueError as error:
        raise Unreadable(f"{where}: {error}") from None
    if method.upper() not in METHODS:
        raise Unreadable(f"{where}: {method[:20]!r} is no method that is sent again")
    if not parts.path.startswith("/") and not (host and not parts.path):
        raise Unreadable(f"{where}: no url and no path")
    if parts.scheme not in ("http", "https", ""):
        raise Unreadable(f"{where}: {parts.scheme}: is not sent over HTTP")
    origin = f"{parts.scheme or 'http'}://{host}" if host else ""
    if origin and (problem := url_problem(origin)):
        raise Unreadable(f"{where}: {problem}")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return RecordedRequest(
        method=method.upper(),
        origin=origin,
        target=_sendable(target),
        headers=tuple(_kept(headers)),
        body=body,
    )


def _sendable(target: str) -> str:
    """What a request line may hold of it, the rest and what a template would take for a place
    percent-encoded.
    """
    return "".join(
        char if "!" <= char <= "~" and char not in "{}" else _encoded(char) for char in target
    )


def _encoded(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))


def _kept(headers: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Each header once that is the request's own. For what may be secret, and for what a test file
    would take for something else, stands a variable.
    """
    seen: set[str] = set()
    for name, value in headers:
        lower = name.lower()
        if lower in seen or not is_own_header(name):
            continue
        seen.add(lower)
        plain = all(32 <= ord(char) < 127 for char in value)
        if _SECRET.search(name) or not plain or columns_used(value) or "${" in value:
            value = f"${{{variable_of(name)}}}"
        yield name, value


def is_own_header(name: str) -> bool:
    """Whether a header is the request's own: none that a browser, a proxy or the engine sets."""
    return bool(_HEADER_NAME.fullmatch(name)) and not _LEFT_OUT.fullmatch(name)


def variable_of(header: str) -> str:
    """The variable of the environment that a header's value comes from."""
    name = re.sub(r"[^A-Z0-9]+", "_", header.upper()).strip("_") or "VALUE"
    return f"_{name}" if name[0].isdigit() else name
