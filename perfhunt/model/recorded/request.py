"""One request as it was recorded, and what of it a test file sends again."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from perfhunt.errors import Unreadable
from perfhunt.model.recorded.headers import sent_headers
from perfhunt.model.testfile.testfile import url_problem

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MOST = 200_000  # requests of one file: an hour at 50/s
_URL = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*))?([^#]*)")
_DEFAULT_PORT = {"http": ":80", "https": ":443"}
AS_BASIC = (
    "A user with a password is sent as Authorization: Basic and their base64: export"
    " AUTHORIZATION=\"Basic $(printf %s 'USER:PASSWORD' | base64 -w0)\""
)


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request: `target` is its path and query as they were sent, `origin` where it went
    (`http://host:port`, "": not recorded). Header values that may be secret, or that a test file
    cannot hold, are `${NAME}`: `hidden` has those names, each with a number that is equal for equal
    values. `dropped` names headers that are not sent again; `remarks` are other differences from
    what was sent, as sentences.
    """

    method: str
    origin: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    hidden: tuple[tuple[str, int], ...] = ()
    dropped: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


class LeftOut(NamedTuple):
    """What was recorded and is not sent again, by the reason (`a log has no bodies`); `what` is its
    name where it has one, and `n` how many requests that is.
    """

    why: str
    what: str = ""
    n: int = 1


def recorded(
    method: str,
    url: str,
    headers: Iterable[tuple[str, str]] = (),
    body: str = "",
    where: str = "",
    remarks: Iterable[str] = (),
) -> RecordedRequest:
    """A request that was recorded with a url, or with a path only. Raises Unreadable, saying
    `where` in the file, for one that cannot be sent again.
    """
    origin, user, target = _parted(url.strip(), where)
    if method.upper() not in METHODS:
        raise Unreadable(f"{where}: {method[:20]!r} is no method that is sent again")
    if any("\ud800" <= char <= "\udfff" for char in body):
        raise Unreadable(f"{where}: its body is no text in UTF-8, which a test file needs")
    given, told = list(headers), list(remarks)
    if user and "authorization" not in {name.lower() for name, _ in given}:
        given.append(basic(unquote_to_bytes(user)))
        told.append(AS_BASIC)
    sent = sent_headers(given, origin.partition("://")[2])
    told += [f"Several lines of {name} in a request are sent as one." for name in sent.joined]
    return RecordedRequest(
        method=method.upper(),
        origin=origin,
        target=_sendable(target),
        headers=sent.headers,
        body=body,
        hidden=sent.hidden,
        dropped=sent.dropped,
        remarks=tuple(told),
    )


def basic(user: bytes) -> tuple[str, str]:
    """The header of `user:password` (RFC 7617)."""
    name, _, password = user.partition(b":")
    return "Authorization", f"Basic {base64.b64encode(name + b':' + password).decode()}"


def _parted(url: str, where: str) -> tuple[str, str, str]:
    """Origin, user and password, target of a url or path. What begins with / is a path, though it
    be `//a`; a query is kept, though it be empty.
    """
    match = _URL.match(url)
    assert match is not None, "it matches the empty text"
    scheme, authority, target = (match[1] or "").lower(), match[2] or "", match[3]
    if scheme not in ("http", "https", ""):
        raise Unreadable(f"{where}: {scheme}: is not sent over HTTP")
    user, _, host = authority.rpartition("@")
    if scheme and not target.startswith("/"):
        target = f"/{target}"
    if not target.startswith("/") or (scheme and not host):
        raise Unreadable(f"{where}: no url and no path")
    if not scheme:
        return "", "", target
    host = host.lower().removesuffix(_DEFAULT_PORT[scheme])
    origin = f"{scheme}://{host}"
    if problem := url_problem(origin):
        raise Unreadable(f"{where}: {problem}")
    return origin, user, target


def _sendable(target: str) -> str:
    """What a request line may hold of it, the rest percent-encoded."""
    return "".join(char if "!" <= char <= "~" else _encoded(char) for char in target)


def without_braces(target: str) -> str:
    """A target in which a template would take nothing for a place."""
    return target.replace("{", "%7B").replace("}", "%7D")


def _encoded(char: str) -> str:
    try:
        raw = char.encode("utf-8", "surrogateescape")  # a byte that is no UTF-8 is that byte
    except UnicodeEncodeError:
        raw = char.encode("utf-8", "surrogatepass")
    return "".join(f"%{byte:02X}" for byte in raw)
