"""A Node inspector session: Chrome DevTools Protocol over a WebSocket on loopback (RFC 6455), no
dependency.

https://nodejs.org/api/inspector.html, https://chromedevtools.github.io/devtools-protocol/v8/
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import struct
import time
from typing import Any
from urllib.parse import urlsplit

from perfhunt.model.units import Seconds

HOST, PORT = "127.0.0.1", 9229
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_LARGEST = 1 << 30


class InspectorError(Exception):
    """The inspector did not answer, or not with what was asked for."""


def is_open(host: str = HOST, port: int = PORT) -> bool:
    """Whether something listens on the inspector's port."""
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def session_url(host: str = HOST, port: int = PORT) -> str:
    """The WebSocket address of the first target the inspector lists. Raises InspectorError."""
    request = f"GET /json/list HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((host, port), timeout=5.0) as link:
            link.sendall(request.encode())
            with link.makefile("rb") as stream:
                length = int(_head(stream).get("content-length", "0"))
                listed = json.loads(stream.read(length))
        return str(listed[0]["webSocketDebuggerUrl"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InspectorError(f"port {port} does not answer as a Node inspector: {error}") from error


def _head(stream: Any) -> dict[str, str]:
    status = stream.readline().decode("latin-1").split(" ", 2)
    found = {":status": status[1] if len(status) > 1 else ""}
    while line := stream.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        found[name.strip().lower()] = value.strip()
    return found


class Inspector:
    """One session. `call` sends a command and gives its result; events are left aside."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection(
            (parts.hostname or HOST, parts.port or PORT), timeout=5.0
        )
        self._stream = self._socket.makefile("rb")
        self._calls = 0
        key = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade:"
            " websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key:"
            f" {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self._socket.sendall(request.encode())
        head = _head(self._stream)
        expected = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()
        if head[":status"] != "101" or head.get("sec-websocket-accept") != expected:
            self.close()
            raise InspectorError(f"the inspector refused a session (HTTP {head[':status']})")

    def close(self) -> None:
        """Leave the session. Idempotent."""
        self._stream.close()
        self._socket.close()

    def call(self, method: str, timeout: Seconds = 10.0, **params: Any) -> dict[str, Any]:
        """The result of one command. Raises InspectorError when it fails or takes longer than
        `timeout`.
        """
        self._calls += 1
        deadline = time.monotonic() + timeout
        try:
            self._send(
                _TEXT, json.dumps({"id": self._calls, "method": method, "params": params}).encode()
            )
            while True:
                answer = json.loads(self._receive(deadline))
                if answer.get("id") == self._calls:
                    break
        except (OSError, ValueError) as error:
            raise InspectorError(f"{method}: {error}") from error
        if "error" in answer:
            raise InspectorError(f"{method}: {answer['error'].get('message', answer['error'])}")
        result: dict[str, Any] = answer.get("result", {})
        return result

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the target. Raises InspectorError when it
        throws.
        """
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise InspectorError(
                str(result["exceptionDetails"].get("text", "the expression threw"))
            )
        return result["result"].get("value")

    def _send(self, kind: int, payload: bytes) -> None:
        # A client masks what it sends (RFC 6455, section 5.3).
        mask = os.urandom(4)
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | kind, 0x80 | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", 0x80 | kind, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | kind, 0x80 | 127, size)
        masked = bytes(byte ^ mask[i & 3] for i, byte in enumerate(payload))
        self._socket.sendall(head + mask + masked)

    def _receive(self, deadline: Seconds) -> bytes:
        """The next whole text message."""
        message = b""
        while True:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            first, second = self._exactly(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", self._exactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self._exactly(8))
            if size > _LARGEST:
                raise InspectorError(f"the inspector announced a message of {size} bytes")
            payload = self._exactly(size)
            kind = first & 0x0F
            if kind == _CLOSE:
                raise InspectorError("the inspector closed the session")
            if kind == _PING:
                self._send(_PONG, payload)
                continue
            message += payload
            if first & 0x80:
                return message

    def _exactly(self, size: int) -> bytes:
        got = self._stream.read(size) if size else b""
        if len(got) != size:
            raise InspectorError("the inspector went away")
        return got
