"""Where load arrives: a server in the test's own process that notes when each request came."""

import contextlib
import socket
import threading
import time

from perfhunt.model.units import Seconds
from tests.live.running import until

# Watched for load that goes on: several times what the promise of a second allows.
AFTERWARDS: Seconds = 3.0
BEGUN = 20  # requests, after which load is certainly on


class Receiver:
    """A server that writes down when each request came, by path."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0, head: str = "") -> None:
        self.arrivals: list[float] = []
        self._head = (head or "HTTP/1.1 200 OK\r\n").encode()
        self._server = socket.create_server((address, port), backlog=500)
        self.port: int = self._server.getsockname()[1]
        self.url = f"http://{address}:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                link = self._server.accept()[0]
                threading.Thread(target=self._answer, args=(link,), daemon=True).start()

    def _answer(self, link: socket.socket) -> None:
        with link, contextlib.suppress(OSError):
            while link.recv(65536):
                self.arrivals.append(time.monotonic())
                link.sendall(self._head + b"Content-Length: 2\r\n\r\nok")

    def begun(self) -> None:
        """Load is on."""
        first = len(self.arrivals)
        assert until(lambda: len(self.arrivals) > first + BEGUN, within=60.0), "no load came"

    def last(self) -> Seconds:
        """When the last request came, after it was watched for long enough."""
        time.sleep(AFTERWARDS)
        return self.arrivals[-1]

    def close(self) -> None:
        self._server.close()
