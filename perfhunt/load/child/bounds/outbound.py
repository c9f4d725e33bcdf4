"""Where this process may connect: to what load was cleared for, and nowhere else.

The check is an audit hook of the interpreter (PEP 578), which nothing in the process can take out
again. Every connection by Python's own sockets passes it, whoever makes it (gevent, requests,
urllib3, geventhttpclient, httpx, aiohttp, a socket by hand), with the address that is really
connected to: no redirect, no name that has got another address and no other spelling leads away.
Names are checked too, since one address may serve several hosts.

It does not see libraries that connect in C (pycurl, gRPC, libpq, librdkafka, uvloop), nor programs
that a locustfile starts.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable, Collection
from ipaddress import IPv6Address, ip_address
from typing import Any, NoReturn

from perfhunt.errors import OwnWords
from perfhunt.model.traffic.connects import peripheral

PLACES = 20  # that refusals are counted for one by one; a locustfile may make names up
ELSEWHERE = "other places"
# What a host calls itself leads nowhere by itself: addresses are checked all the same.
_OWN_NAMES = ("localhost", "")
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_WITHIN_THE_KERNEL = getattr(socket, "AF_NETLINK", None)


class NotCleared(PermissionError, OwnWords):
    """A connection that would have left what load was cleared for. None was made."""


class Outbound:
    """Refuses what was not cleared, with NotCleared, and counts it by place."""

    def __init__(
        self, host: str, port: int, addresses: Collection[str], connects: Collection[str]
    ) -> None:
        """`addresses` of the target's `host`, all at `port`; `connects` as in OpenLoad."""
        places = [place for text in connects if (place := peripheral(text)) is not None]
        self._names = {_name(n) for n in (host, *_OWN_NAMES, socket.gethostname())}
        self._names |= {_name(place.host) for place in places}
        self._paths = {place.path for place in places if place.path}
        self._places = {(_plain(address), port) for address in addresses}
        self._places |= {(_plain(place.host), place.port) for place in places}
        self._known: set[Any] = set()  # as given to connect, and found to be cleared
        self._refused: Counter[str] = Counter()
        self._checks: dict[str, Callable[[tuple[Any, ...]], None]] = {
            "socket.connect": self._connects,
            "socket.sendto": self._connects,
            "socket.sendmsg": self._connects,
            "socket.getaddrinfo": self._resolves,
            "socket.gethostbyname": self._resolves,
        }

    def install(self) -> None:
        """From now on, and for as long as the process lives. A second one can only narrow it."""
        sys.addaudithook(self._audit)

    def take_refused(self) -> dict[str, int]:
        """How many connections were refused since the last time, by where they would have gone."""
        taken, self._refused = dict(self._refused), Counter()
        return taken

    def _audit(self, event: str, given: tuple[Any, ...]) -> None:
        check = self._checks.get(event)
        if check is not None:
            check(given)

    def _connects(self, given: tuple[Any, ...]) -> None:
        sock, where = given[0], given[1]
        # Without an address the bytes go where the socket is connected to.
        if where is None:
            return
        # Of plain types only: others may be equal to what they are not, or no keys.
        plain = type(where) is tuple and type(where[0]) is str and type(where[1]) is int
        if plain and where[:2] in self._known:
            return
        family = sock.family
        if family in _INTERNET:
            host, port = _text(where[0]), where[1]
            if (_plain(host), port) not in self._places:
                self.refuse(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
            self._known.add((host, port))
        elif family == socket.AF_UNIX:
            path = _text(where)
            if path not in self._paths:
                self.refuse(f"unix:{path}")
        elif family != _WITHIN_THE_KERNEL:
            self.refuse(f"a socket of family {int(family)}")

    def _resolves(self, given: tuple[Any, ...]) -> None:
        if given[0] is None:
            return
        name = _name(_text(given[0]))
        if name not in self._names and not _is_address(name):
            port = given[1] if len(given) > 1 else None
            self.refuse(f"{name}:{port}" if port else name)

    def refuse(self, place: str) -> NoReturn:
        """Counts what would have gone to a place, and raises NotCleared."""
        known = place in self._refused or len(self._refused) < PLACES
        self._refused[place if known else ELSEWHERE] += 1
        raise NotCleared(errno.EACCES, f"not connected: load was not cleared for {place}")


def _text(given: Any) -> str:
    """A host or a path, as the socket module takes them."""
    if isinstance(given, str):
        return given
    return os.fsdecode(bytes(given)) if isinstance(given, bytes | bytearray) else repr(given)


def _name(host: str) -> str:
    """A host's name in the one spelling in which names are compared."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return name


def _plain(host: str) -> str:
    """A numeric address in the one spelling in which they are compared; anything else (a name that
    the kernel would never see, a shortened address) as it is, which is cleared for nobody.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return f"name {host}"
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _is_address(name: str) -> bool:
    return not _plain(name).startswith("name ")
