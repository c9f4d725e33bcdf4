"""HTTP Archive (HAR 1.2): what a browser's network panel saves."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import Allowance, json_value
from perfhunt.model.recorded.request import MOST, LeftOut, RecordedRequest, recorded

_OF_HTTP = ("http://", "https://")
_FORM = "application/x-www-form-urlencoded"
# Media types whose bodies are text, which a HAR holds as it was.
_TEXTUAL = re.compile(
    r"|text/.*|.*\b(?:json|xml|x-www-form-urlencoded|javascript|graphql|yaml|csv)\b.*"
)
_CHARSET = re.compile(r"charset=\"?([\w-]+)", re.IGNORECASE)
_UTF_8 = ("utf-8", "utf8")
_NO_TEXT = re.compile("[\ufffd\ud800-\udfff]")
_NOT_PRINTED = re.compile(r"[^\t\r\n -~]")
# Where an answer came from that is the browser's own (Chrome; Safari).
_OWN_ANSWERS = ("Memory Cache", "Disk Cache", "Service Worker")


def read_har(text: str) -> Iterator[RecordedRequest | LeftOut]:
    """Its requests in order; those that never reached a server over HTTP, or whose body is not in
    the archive as it was sent, are left out. Raises Unreadable.
    """
    entries = _at(json_value(text.removeprefix("\ufeff"), "the HAR"), "log", "entries")
    if not isinstance(entries, list):
        raise Unreadable("the HAR has no log.entries")
    allowed = Allowance(MOST, "requests", "the HAR")
    for number, entry in enumerate(entries, start=1):
        allowed.take()
        yield _read(entry, f"entry {number}")


def _read(entry: Any, where: str) -> RecordedRequest | LeftOut:
    request = _at(entry, "request")
    method, url = _at(request, "method"), _at(request, "url")
    if not isinstance(method, str) or not isinstance(url, str):
        return LeftOut("they have no method and url")
    if not url.lower().startswith(_OF_HTTP):
        return LeftOut("they went over no HTTP")
    if why := _never_arrived(entry):
        return LeftOut(why)
    headers = list(_pairs(_at(request, "headers")))
    body = _body(request, {name.lower(): value for name, value in headers})
    if isinstance(body, LeftOut):
        return body
    try:
        return recorded(method, url, headers, body, where)
    except Unreadable as error:
        return LeftOut(error.message.removeprefix(f"{where}: "))


def _never_arrived(entry: Any) -> str:
    """Why the server never saw the request, "" where it did."""
    status = _at(entry, "response", "status")
    if _at(entry, "_fromCache") or _at(entry, "response", "_fetchType") in _OWN_ANSWERS:
        return "the browser answered them itself, from its cache"
    if _at(entry, "response", "_fetchedViaServiceWorker"):
        return "the browser answered them itself, by a service worker"
    if status == 0:
        return "they were blocked or broken off, and got no answer"
    return "they became WebSockets" if status == 101 else ""


def _body(request: Any, headers: dict[str, str]) -> str | LeftOut:
    """The body as text; the fields of a form where only those were kept."""
    text, params = _at(request, "postData", "text"), _at(request, "postData", "params")
    mime = _at(request, "postData", "mimeType")
    kind = headers.get("content-type") or (mime if isinstance(mime, str) else "")
    charset = _CHARSET.search(kind)
    kind = kind.partition(";")[0].strip().lower()
    if not isinstance(text, str) or not text:
        return _unwritten(request, headers, kind, list(_pairs(params)))
    if _at(request, "postData", "encoding") == "base64":
        try:
            text = base64.b64decode(text, validate=True).decode()
        except (binascii.Error, ValueError):
            return LeftOut("their body is binary, which a test file cannot hold")
    if headers.get("content-encoding", "identity").lower() != "identity":
        return LeftOut("their body was compressed, and the HAR does not hold it so")
    if charset and charset[1].lower() not in _UTF_8 and not text.isascii():
        return LeftOut("their body is not UTF-8, which is what is sent")
    if kind.startswith("multipart/"):
        length = headers.get("content-length", "")
        whole = length in ("", str(len(text.encode("utf-8", "surrogatepass"))))
        return text if whole and not _NO_TEXT.search(text) else LeftOut(_NOT_THERE)
    if (_NO_TEXT if _TEXTUAL.fullmatch(kind) else _NOT_PRINTED).search(text):
        return LeftOut("their body is binary, which a HAR does not hold as it was")
    return text


_NOT_THERE = "their body, or a file in it, is not in the HAR"


def _unwritten(
    request: Any, headers: dict[str, str], kind: str, fields: list[tuple[str, str]]
) -> str | LeftOut:
    """The body of a request that has no text of one."""
    if _at(request, "postData", "params") and kind not in ("", _FORM):
        return LeftOut(_NOT_THERE)
    size = _at(request, "bodySize")
    sent = headers.get("content-length", "").strip(" 0") or (isinstance(size, int) and size > 0)
    return LeftOut(_NOT_THERE) if sent and not fields else urlencode(fields)


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
