"""The cookies of one journey, or of one login of several steps: kept and sent as the standard
library's jar does it, for where and as long as their attributes say (RFC 6265).
"""

from __future__ import annotations

import http.cookiejar
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any

from perfhunt.model.text.socket_url import authority, socket_path

# Also of a service that is tested without the TLS in front of it: `Secure` would lose them all.
_POLICY = http.cookiejar.DefaultCookiePolicy(secure_protocols=("http", "https"))


def cookie_url(url: str) -> str:
    """What cookies of a target's url are kept for: a unix socket is asked as localhost."""
    return f"http://{authority(url)}" if socket_path(url) else url.rstrip("/")


class Cookies:
    """What answers have set so far."""

    __slots__ = ("_jar", "_url")

    def __init__(self, url: str) -> None:
        """`url` is where requests go, without a path."""
        self._url = url
        self._jar: http.cookiejar.CookieJar | None = None  # made for the first cookie

    def take(self, path: str, headers: Sequence[tuple[str, str]]) -> None:
        """Keeps those that the answer to a request for `path` sets."""
        answer: Any = _Answer([value for name, value in headers if name.lower() == "set-cookie"])
        if answer.sets:
            if self._jar is None:
                self._jar = http.cookiejar.CookieJar(_POLICY)
            self._jar.extract_cookies(answer, urllib.request.Request(self._url + path))

    def header(self, path: str) -> str:
        """The Cookie header of a request for `path`; "" for none."""
        if self._jar is None:
            return ""
        request = urllib.request.Request(self._url + path)
        self._jar.add_cookie_header(request)
        return request.get_header("Cookie") or ""


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer as the jar looks at it."""

    sets: Sequence[str]

    def info(self) -> Message:
        message = Message()
        for value in self.sets:
            message["Set-Cookie"] = value
        return message
