"""A service that answers 503 to whatever is more than RATE a second, and is quick at both. Prints
`ready PORT`.
"""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RATE, BURST = 60.0, 12.0


class Bucket:
    """A token bucket."""

    def __init__(self) -> None:
        self._tokens, self._at, self._lock = BURST, time.monotonic(), threading.Lock()

    def take(self) -> bool:
        with self._lock:
            now = time.monotonic()
            self._tokens = min(BURST, self._tokens + RATE * (now - self._at))
            self._at = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


BUCKET = Bucket()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if BUCKET.take():
            self.answer(200, render_page())
        else:
            self.answer(503, turn_away(self.path))

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def render_page() -> bytes:
    return str(sum(n * n % 7 for n in range(12_000))).encode()


def turn_away(path: str) -> bytes:
    """An apology that takes a while, so that a profiler can catch it at work."""
    return str(sum(n * len(path) % 5 for n in range(12_000))).encode()


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    print("ready", server.server_port, flush=True)
    server.serve_forever()
