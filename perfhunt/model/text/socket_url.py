"""Urls of services that listen on a unix socket: `http+unix://%2Frun%2Fapp.sock`, its path
percent-encoded where a host stands in others. Servers and proxies write `unix:/run/app.sock`.
"""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

from perfhunt.model.units import Bytes

SCHEME = "http+unix"
PREFIX = "unix:"  # before the path, where a host or an address is named
LONGEST_PATH: Bytes = 107  # unix(7): sun_path has 108, and ends with a NUL
# Other spellings, each with the path from its last slash on.
_OTHERS = ("http+unix:///", "http://unix:/", "unix:///", "unix:/")


def socket_path(url: str) -> str:
    """The path that a url in the one spelling names; "" for any other url."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() != SCHEME:
        return ""
    return unquote(rest.partition("/")[0])


def socket_url(path: str) -> str:
    """The url of the service that listens on a socket at a path."""
    return f"{SCHEME}://{quote(path, safe='')}"


def in_one_spelling(url: str) -> str:
    """The url as it is kept: a unix socket's as `http+unix://`, any other without its last `/`."""
    for start in _OTHERS:
        if url.startswith(start):
            return socket_url(url[len(start) - 1 :].rstrip("/"))
    return url.rstrip("/")


def authority(url: str) -> str:
    """What the Host header says: host and port, without a user; of a unix socket `localhost`."""
    return "localhost" if socket_path(url) else urlsplit(url).netloc.rpartition("@")[2]
