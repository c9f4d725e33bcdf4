"""TLS on top of a connection, by memory BIOs: the socket stays non-blocking and the state machine
stays the same.
"""

from __future__ import annotations

import ssl
from time import monotonic
from typing import Any

from perfhunt.load.child.http.connection import RECV, ConnectionOwner
from perfhunt.load.child.http.inspecting import InspectingConnection
from perfhunt.model.latency import RequestOutcome
from perfhunt.model.units import Seconds

_PLAIN = " (it speaks no TLS: is target.url to begin with http://?)"
# What OpenSSL's words for a failure mean here, and what to do.
_MEANS = {
    "CERTIFICATE_VERIFY_FAILED": " (verify_tls = false in [target] takes any certificate)",
    "WRONG_VERSION_NUMBER": _PLAIN,
    "RECORD_LAYER_FAILURE": _PLAIN,
}


class TlsConnection(InspectingConnection):
    """A connection whose bytes pass through an ssl.SSLObject. The handshake counts as part of the
    first request.
    """

    __slots__ = ("_incoming", "_outgoing", "_plain", "_tls")

    def __init__(self, client: ConnectionOwner) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        address = client.address
        self._tls: Any = address.tls.wrap_bio(
            self._incoming, self._outgoing, server_hostname=address.server_name or None
        )
        self._plain: bytes | None = None  # waits for the handshake
        super().__init__(client)

    def begin(
        self, due: Seconds, endpoint: int, payload: bytes, sent: Seconds, wait: Seconds
    ) -> None:
        if not self.served:
            self._plain = payload
        super().begin(due, endpoint, payload, sent, wait)

    def transmit(self, content: bytes | memoryview) -> None:
        if self._plain is not None:
            self._shake_hands()
        else:
            self._encrypt(content)

    def stands(self) -> None:
        """TCP's connection: the handshake is still to come, and counts as connecting."""
        self.connected = True

    def _encrypt(self, content: bytes | memoryview) -> None:
        try:
            self._tls.write(content)
        except ssl.SSLError as error:
            self._broken(error)
            return
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending:
            cipher = self._outgoing.read()
            if self._left:
                self._left = bytes(self._left) + cipher
            else:
                super().transmit(cipher)

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._broken(error)
            return
        plain, self._plain = self._plain, None
        super().stands()
        self._encrypt(plain or b"")

    def take(self, content: bytes, now: Seconds) -> None:
        self._incoming.write(content)
        if self._plain is not None:
            self._shake_hands()
        while self._parser is not None and self._plain is None:
            try:
                plain = self._tls.read(RECV)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLError as error:
                self._broken(error)
                return
            if not plain:
                self.ended(now)
                return
            super().take(plain, now)

    def _broken(self, error: ssl.SSLError) -> None:
        if not self.payload:
            self.client.dropped(self)
        else:
            means = _MEANS.get(error.reason or "", "")
            self.fail(RequestOutcome.TLS, f"TLS: {error.reason or error}{means}", monotonic())

    def close(self) -> None:
        super().close()
        self._tls = None
