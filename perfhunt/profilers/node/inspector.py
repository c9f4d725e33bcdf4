"""A Node inspector session: Chrome DevTools Protocol over a WebSocket on loopback.

https://nodejs.org/api/inspector.html, https://chromedevtools.github.io/devtools-protocol/v8/
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections import deque
from contextlib import ExitStack, closing
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import json_value, read_all
from perfhunt.model.units import Bytes, Seconds

HOST, PORT = "127.0.0.1", 9229  # where SIGUSR1 makes Node listen
_OPENS: Seconds = 5.0  # the target answers between two turns of its event loop
_ANSWER: Seconds = 10.0
# A profile comes as one message, of about 12 bytes per sample and 300 per node of the call tree: 1
# to 20 MB for minutes at 1,000 Hz. As Python's objects it takes up to ten times that.
_LARGEST: Bytes = 64 << 20
_LARGEST_LIST: Bytes = 1 << 20
_OF_WORKERS = "NodeWorker."
_MOST_EVENTS = 10_000  # that are kept: a few for each thread
_LONGEST_WORDS = 200  # characters of what it says of a failure


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
    try:
        with closing(http.client.HTTPConnection(host, port, timeout=_OPENS)) as link:
            link.request("GET", "/json/list")
            raw = read_all(link.getresponse().read, _LARGEST_LIST, "the inspector's list")
        return str(json_value(raw, "the inspector's list")[0]["webSocketDebuggerUrl"])
    except (OSError, http.client.HTTPException, Unreadable, LookupError, TypeError) as error:
        raise InspectorError(f"port {port} does not answer as a Node inspector: {error}") from error


class Inspector:
    """One session. `call` sends a command and gives its result; of events those about worker
    threads are kept for `event`.
    """

    def __init__(self, url: str) -> None:
        """Opens the session. Raises InspectorError."""
        self._calls = 0
        self._events = deque[dict[str, Any]]()
        self._session = ExitStack()
        try:
            self._link = self._session.enter_context(
                connect(
                    url,
                    open_timeout=_OPENS,
                    close_timeout=_OPENS,
                    max_size=_LARGEST,
                    compression=None,
                    proxy=None,  # Only this host is spoken to, whatever the environment says.
                    ping_interval=None,  # Node closes a session that pings (inspector_socket.cc).
                )
            )
        except (OSError, WebSocketException) as error:
            raise InspectorError(f"the inspector refused a session: {error}") from error

    def close(self) -> None:
        """Leave the session. Idempotent."""
        self._session.close()

    def call(self, method: str, timeout: Seconds = _ANSWER, **params: Any) -> dict[str, Any]:
        """The result of one command. Raises InspectorError when it fails or takes longer than
        `timeout`.
        """
        self._calls += 1
        request = json.dumps({"id": self._calls, "method": method, "params": params})
        deadline = time.monotonic() + timeout
        try:
            self._link.send(request)
            answer = self._answer(deadline)
        except TimeoutError as error:
            raise InspectorError(f"{method}: no answer within {timeout:.0f} s") from error
        except (OSError, ValueError, Unreadable, WebSocketException) as error:
            raise InspectorError(f"{method}: {error}") from error
        if "error" in answer:
            failed = answer["error"]
            said = failed.get("message", failed) if isinstance(failed, dict) else failed
            raise InspectorError(f"{method}: {str(said)[:_LONGEST_WORDS]}")
        result = answer.get("result", {})
        if not isinstance(result, dict):
            raise InspectorError(f"{method}: its result is not an object")
        return result

    def event(self, within: Seconds = 0.0) -> tuple[str, dict[str, Any]] | None:
        """(name, what it says) of the next event about a worker thread; None where none comes in
        that time. Raises InspectorError.
        """
        deadline = time.monotonic() + within
        try:
            while not self._events:
                self._kept(self._message(deadline))
        except TimeoutError:
            return None
        except (OSError, ValueError, Unreadable, WebSocketException) as error:
            raise InspectorError(f"an event: {error}") from error
        message = self._events.popleft()
        told = message.get("params")
        return message["method"], told if isinstance(told, dict) else {}

    def evaluate(self, expression: str, *, requires: bool = False) -> Any:
        """The value of a JavaScript expression in the target; with `requires` it may say `require`,
        whatever kind of module the program is. Raises InspectorError when it throws.
        """
        result = self.call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            includeCommandLineAPI=requires,
        )
        try:
            if "exceptionDetails" in result:
                details = result["exceptionDetails"]
                said = details.get("exception", {}).get("description", details["text"])
                raise InspectorError(str(said)[:_LONGEST_WORDS])
            return result["result"].get("value")
        except (AttributeError, LookupError, TypeError) as error:
            raise InspectorError(
                f"Runtime.evaluate: an answer of another shape ({error})"
            ) from error

    def _answer(self, deadline: Seconds) -> dict[str, Any]:
        """What belongs to the last command. Raises TimeoutError, OSError, WebSocketException, and
        ValueError or Unreadable for a message that is none of the protocol.
        """
        while True:
            message = self._message(deadline)
            number = message.get("id")
            if number == self._calls:
                return message
            # The answer to a command that was given up may still come.
            late = isinstance(number, int) and 0 < number < self._calls
            if not (self._kept(message) or late):
                raise ValueError(f"a message answers command {number!r}, which was not sent")

    def _message(self, deadline: Seconds) -> dict[str, Any]:
        left = max(0.0, deadline - time.monotonic())
        message = json_value(self._link.recv(left), "a message of the inspector")
        if not isinstance(message, dict):
            raise ValueError("a message is not an object")
        return message

    def _kept(self, message: dict[str, Any]) -> bool:
        """Whether it is an event."""
        name = message.get("method")
        if message.get("id") is not None or not isinstance(name, str):
            return False
        if name.startswith(_OF_WORKERS) and len(self._events) < _MOST_EVENTS:
            self._events.append(message)
        return True
