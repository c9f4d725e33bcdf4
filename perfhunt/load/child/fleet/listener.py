"""Where a master waits for workers from other hosts. Whoever comes and cannot prove that it knows
the secret is told nothing, and disturbs nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import gevent
from gevent import socket, ssl

from perfhunt.errors import LoadFailed
from perfhunt.load.child.fleet.proving import OtherVersion, Unproven, proven_worker, tls_context
from perfhunt.load.trust.address import MasterAddress
from perfhunt.load.trust.secret import LEAST
from perfhunt.model.units import Seconds

# Connections that have proven nothing yet; of more the oldest goes, so that nobody who only holds
# connections open keeps a worker out, which is done in a few milliseconds.
UNPROVEN = 64
_FULL: Seconds = 0.1  # no descriptor is left: until some of those are given up


class WorkerListener:
    """Listens until it is closed. `strangers` counts those that could not prove anything, by why:
    in words of ours, never of theirs.
    """

    def __init__(
        self, address: MasterAddress, secret: str, joined: Callable[[Any, str], None]
    ) -> None:
        """`joined` gets each proven connection, and the address it came from. Raises LoadFailed."""
        if len(secret) < LEAST:
            raise LoadFailed("workers from other hosts can join only where there is a secret")
        tls_context(
            ssl.PROTOCOL_TLS_SERVER
        )  # what cannot be had is said now, not to each who comes
        self._secret, self._joined = secret, joined
        self.strangers: Counter[str] = Counter()
        self._other: LoadFailed | None = None
        self._unproven: dict[Any, Any] = {}  # greenlets, and the connection of each
        try:
            family, *_, where = socket.getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            self._server = socket.socket(family, socket.SOCK_STREAM)
            self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._server.bind(where)
            self._server.listen()
        except OSError as error:
            raise LoadFailed(
                f"workers cannot be waited for at {address}: {error.strerror or error}",
                "Give an address of this host and a port that is free: --bind HOST:PORT",
            ) from None
        self._accepting = gevent.spawn(self._accept)

    def _accept(self) -> None:
        while True:
            try:
                connection, peer = self._server.accept()
            except OSError:
                gevent.sleep(_FULL)
                continue
            if len(self._unproven) >= UNPROVEN:
                self._give_up(next(iter(self._unproven)))
            self._unproven[gevent.spawn(self._greet, connection, str(peer[0]))] = connection

    def _greet(self, connection: Any, host: str) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            proven = proven_worker(connection, self._secret)
        except OtherVersion as error:  # it knows the secret, and is no stranger
            self._other = error.met_at(f"worker on {host}")
            self._give_up(gevent.getcurrent())
        except Unproven as error:
            self._give_up(gevent.getcurrent(), error.message)
        except Exception:  # whatever a stranger did, it is not what ends a load
            self._give_up(gevent.getcurrent())
        else:
            if self._unproven.pop(gevent.getcurrent(), None) is not None:
                self._joined(proven, host)

    def heard_of(self) -> bool:
        """True. Raises LoadFailed when a worker of another version was here: it will not be of the
        same one next time.
        """
        if self._other is not None:
            raise self._other
        return True

    @property
    def turned_away(self) -> str:
        """Who could prove nothing, as the end of a sentence; "" when there was nobody."""
        each = [f"{count} because {why}" for why, count in self.strangers.most_common()]
        return f"; turned away: {', '.join(each)}" if each else ""

    def _give_up(self, greenlet: Any, why: str = "nothing was proven") -> None:
        connection = self._unproven.pop(greenlet, None)
        if connection is not None:
            self.strangers[why] += 1
            connection.close()
            if greenlet is not gevent.getcurrent():
                greenlet.kill(block=False)

    def close(self) -> None:
        """Nobody can join any more; who has stays."""
        self._accepting.kill(block=False)
        self._server.close()
        for greenlet in list(self._unproven):
            self._give_up(greenlet)
