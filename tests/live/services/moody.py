"""A service that is quick at `/quick`, takes half a second at `/late` without using the CPU, and
answers 503 to all else. Prints `ready PORT`.
"""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LATE = 0.5


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece

    def do_GET(self) -> None:
        if self.path == "/late":
            wait_for_nothing()
        self.send_response(200 if self.path in ("/quick", "/late") else 503)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


def wait_for_nothing() -> None:
    time.sleep(LATE)


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    print("ready", server.server_port, flush=True)
    server.serve_forever()
