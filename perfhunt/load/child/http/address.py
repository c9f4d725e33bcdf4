"""Where connections go: the first of a host's addresses that takes one, and the trust it needs."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from perfhunt.errors import LoadFailed
from perfhunt.model.question import Target
from perfhunt.model.text.socket_url import PREFIX, socket_path
from perfhunt.model.units import Seconds

ACCEPTS_WITHIN: Seconds = 1.0  # of several addresses one that takes longer is passed over
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where to connect; of a unix socket, `sockaddr` is its path. `tls` is an SSLContext or None;
    `server_name` goes into the handshake. `cleared` are all addresses that may be connected to.
    """

    family: socket.AddressFamily
    sockaddr: Any
    tls: Any = None
    server_name: str = ""
    resolution: Seconds | None = None  # how long the name took
    cleared: tuple[str, ...] = ()

    @property
    def is_internet(self) -> bool:
        """Whether it is TCP's, with options of its own; else it is a unix socket's."""
        return self.family in (socket.AF_INET, socket.AF_INET6)

    @property
    def port(self) -> int:
        return int(self.sockaddr[1]) if self.is_internet else 0

    @property
    def unix(self) -> tuple[str, ...]:
        """The unix socket, as `model.traffic.connects` writes it; none of TCP."""
        return () if self.is_internet else (f"{PREFIX}{self.sockaddr}",)


def resolve(target: Target, allowed: Collection[str]) -> ServerAddress:
    """The first of the host's addresses that takes a connection, else the first; of `allowed` ones,
    if any are named.

    Raises LoadFailed when there is none.
    """
    if path := socket_path(target.url):
        return ServerAddress(socket.AF_UNIX, path)
    parts = urlsplit(target.url)
    host = parts.hostname or ""
    try:
        socket.getaddrinfo("127.0.0.1", 0)  # The first one starts gevent's threads, and takes long.
        began = monotonic()
        infos = socket.getaddrinfo(
            host, parts.port or _PORTS.get(parts.scheme, 80), type=socket.SOCK_STREAM
        )
    except OSError as error:
        raise LoadFailed(
            f"{host} does not resolve: {error.strerror or error}",
            "Check target.url in perfhunt.toml.",
        ) from None
    took = monotonic() - began
    infos = [info for info in infos if not allowed or _ip(info[4]) in allowed]
    if not infos:
        raise LoadFailed(
            f"{host} does not resolve to {', '.join(allowed)} any more",
            "Nothing was sent. Run again to clear it anew.",
        )
    tls = client_context(target.verify_tls) if parts.scheme == "https" else None
    cleared = tuple(allowed or {_ip(info[4]): None for info in infos})
    choices = [
        ServerAddress(family, where, tls, host, took, cleared) for family, _, _, _, where in infos
    ]
    return next((a for a in choices if _accepts(a)), choices[0]) if len(choices) > 1 else choices[0]


def client_context(verify: bool) -> ssl.SSLContext:
    """A client context for HTTP/1.1; `verify` checks the chain and the name."""
    made = ssl.create_default_context()
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    made.set_alpn_protocols(["http/1.1"])
    return made


def _ip(sockaddr: Any) -> str:
    """The address without its port and scope."""
    return str(sockaddr[0]).partition("%")[0]


def _accepts(address: ServerAddress) -> bool:
    with socket.socket(address.family, socket.SOCK_STREAM) as sock:
        sock.settimeout(ACCEPTS_WITHIN)
        return sock.connect_ex(address.sockaddr) == 0
