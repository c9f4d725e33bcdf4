"""A connection that looks into answers: for HEAD requests, for bodies that must contain a text,
for what the next step of a journey needs.
"""

from __future__ import annotations

import zlib

from httptools import HttpResponseParser

from perfhunt.load.child.http.connection import Connection
from perfhunt.model.latency import RequestOutcome
from perfhunt.model.units import Seconds

MAX_KEPT = 1 << 20  # bytes of a body in which a text is looked for
_PIECE = 8  # bytes that keeping a piece takes by itself: bodies may come byte by byte


class InspectingConnection(Connection):
    """A connection for traffic with HEAD requests, or with bodies that must contain a text."""

    __slots__ = ("_headers", "_kept", "_kept_size", "_renew")

    def begin(
        self, due: Seconds, endpoint: int, payload: bytes, sent: Seconds, wait: Seconds
    ) -> None:
        self._kept: list[bytes] = []
        self._kept_size = 0
        self._headers: list[tuple[str, str]] = []
        self._renew = False
        super().begin(due, endpoint, payload, sent, wait)

    def on_headers_complete(self) -> None:
        """From the parser, which does not know that an answer to HEAD has no body."""
        status = self._parser.get_status_code()
        if status >= 200 and self.client.heads[self.endpoint]:
            self.complete, self.status, self.keep = True, status, self._parser.should_keep_alive()
            self._renew = True

    def on_body(self, content: bytes) -> None:
        """From the parser: a piece of body, kept up to a bound when something is looked for."""
        client, endpoint = self.client, self.endpoint
        if (client.texts[endpoint] or client.reads[endpoint]) and self._kept_size < MAX_KEPT:
            self._kept.append(content)
            self._kept_size += len(content) + _PIECE

    def on_message_complete(self) -> None:
        if not self._renew:
            super().on_message_complete()

    def verdict(self) -> int:
        text = self.client.texts[self.endpoint]
        if text and text not in self.body:
            return RequestOutcome.STATUS
        return super().verdict()

    @property
    def body(self) -> bytes:
        """What was kept of the answer's body, unpacked if it is gzip."""
        return _decoded(b"".join(self._kept))

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The answer's headers, of a connection that reads them."""
        return self._headers

    def rest(self, now: Seconds) -> None:
        super().rest(now)
        if self._renew:
            self._parser = HttpResponseParser(self)


class HeaderReader(InspectingConnection):
    """Keeps the headers of answers that a later step is filled from."""

    __slots__ = ()

    def on_header(self, name: bytes, value: bytes) -> None:
        """From the parser."""
        if self.client.reads[self.endpoint]:
            self._headers.append((name.decode("latin-1"), value.decode("latin-1")))


def _decoded(body: bytes) -> bytes:
    """The body, unpacked if it is gzip; at most MAX_KEPT bytes."""
    if body[:2] != b"\x1f\x8b":
        return body
    try:
        return zlib.decompressobj(31).decompress(body, MAX_KEPT)
    except zlib.error:
        return body
