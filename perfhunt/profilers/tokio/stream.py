"""The messages of one gRPC stream, by as much of HTTP/2 as that takes.

Formats: RFC 9113 (frames), RFC 7541 (a request's headers, none of them compressed), and "gRPC over
HTTP2" (a message is a flag, its length and its bytes). What headers come back is not looked at: a
server that does not know the path ends the stream.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator

from perfhunt.model.units import Bytes, Seconds

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_ACK, _END_HEADERS, _END_STREAM, _PADDED = 0x1, 0x4, 0x1, 0x8
_STREAM = 1  # of our one request
_INITIAL_WINDOW = 4  # SETTINGS_INITIAL_WINDOW_SIZE
_WINDOW_SIZE: Bytes = 1 << 30  # nothing is held back: a stream of a minute has a few MiB
_POST_HTTP = b"\x83\x86"  # :method POST, :scheme http, by their places in the static table
_HEAD = 9  # bytes of a frame's head
_LARGEST_FRAME: Bytes = 1 << 14  # that a server may send, unless it was told otherwise
_LARGEST: Bytes = 64 << 20  # of one message
_WAITED: Seconds = 0.2  # for bytes, before it is asked again whether to go on
_CONNECTS: Seconds = 2.0


def messages(
    address: tuple[str, int], path: str, request: bytes, goes_on: Callable[[], bool]
) -> Iterator[bytes]:
    """The messages that a method streams, for as long as `goes_on`. Raises OSError when the stream
    ends before, or what comes is no HTTP/2.
    """
    with socket.create_connection(address, _CONNECTS) as link:
        link.settimeout(_WAITED)
        link.sendall(_begun(path, "{}:{}".format(*address), request))
        body = bytearray()
        for kind, flags, payload in _frames(link, goes_on):
            if kind == _DATA:
                body += unpadded(flags, payload)
                yield from _whole(body)
            elif kind in (_SETTINGS, _PING) and not flags & _ACK:
                link.sendall(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
            if kind in (_RESET, _GOAWAY) or (kind in (_DATA, _HEADERS) and flags & _END_STREAM):
                raise OSError(f"the stream of {path} ended")


def unpadded(flags: int, payload: bytes) -> bytes:
    """What a frame of data carries: without the padding, whose length comes first where there is
    any.
    """
    length = payload[:1] if flags & _PADDED else b""
    return payload[len(length) : len(payload) - sum(length)]


def _begun(path: str, authority: str, request: bytes) -> bytes:
    headers = _POST_HTTP + b"".join(
        _literal(name, value)
        for name, value in (
            (":path", path),
            (":authority", authority),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        )
    )
    asked = struct.pack(">BI", 0, len(request)) + request
    return b"".join(
        (
            _PREFACE,
            _frame(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW, _WINDOW_SIZE)),
            _frame(_WINDOW, 0, 0, struct.pack(">I", _WINDOW_SIZE)),
            _frame(_HEADERS, _END_HEADERS, _STREAM, headers),
            _frame(_DATA, _END_STREAM, _STREAM, asked),
        )
    )


def _literal(name: str, value: str) -> bytes:
    """A header that nobody is to remember; names and values of less than 127 bytes."""
    words = (word.encode() for word in (name, value))
    return b"\0" + b"".join(bytes([len(word)]) + word for word in words)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _frames(link: socket.socket, goes_on: Callable[[], bool]) -> Iterator[tuple[int, int, bytes]]:
    """(kind, flags, payload) of each frame. Raises OSError."""
    pending = bytearray()
    while goes_on():
        while len(pending) >= _HEAD and len(pending) >= _HEAD + (size := _size(pending)):
            yield pending[3], pending[4], bytes(pending[_HEAD : _HEAD + size])
            del pending[: _HEAD + size]
        try:
            came = link.recv(1 << 16)
        except TimeoutError:
            continue
        if not came:
            raise OSError("the connection was closed")
        pending += came


def _size(pending: bytearray) -> int:
    size = int.from_bytes(pending[:3], "big")
    if size > _LARGEST_FRAME:
        raise OSError("it does not speak HTTP/2")
    return size


def _whole(body: bytearray) -> Iterator[bytes]:
    """The messages that are there whole, taken out of what came. Raises OSError for one larger than
    any.
    """
    while len(body) >= 5:
        size = int.from_bytes(body[1:5], "big")
        if size > _LARGEST or body[0]:
            raise OSError("a message is compressed, or larger than any")
        if len(body) < 5 + size:
            return
        yield bytes(body[5 : 5 + size])
        del body[: 5 + size]


def until(end: Seconds, stopped: Callable[[], bool]) -> Callable[[], bool]:
    """What says to go on until time.monotonic's clock has reached `end`, or it was stopped."""
    return lambda: time.monotonic() < end and not stopped()
