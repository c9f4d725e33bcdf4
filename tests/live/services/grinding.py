"""A single-threaded stdlib service that computes the same for each request. Prints `ready PORT`."""

from __future__ import annotations

import hashlib
from http.server import BaseHTTPRequestHandler, HTTPServer

ROUNDS = 20_000  # some 10 ms of a core


def grind() -> bytes:
    digest = b"x"
    for _ in range(ROUNDS):
        digest = hashlib.sha256(digest).digest()
    return digest


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        text = grind().hex().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


class Server(HTTPServer):
    request_queue_size = 256


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    print("ready", server.server_address[1], flush=True)
    server.serve_forever()
