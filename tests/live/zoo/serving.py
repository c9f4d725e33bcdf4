"""Servers as services of the zoo use them: the standard library's, with a thread per connection and
an answer in one piece, and waitress without its log.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def serve(page: Callable[[], bytes]) -> None:
    """Answers every request with a page, at the port the command line names."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body leave together
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = page()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 512

    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


def under_waitress(app: Callable[..., Any], threads: int) -> None:
    """Answers with a WSGI application. Every request that waits is worth a line to waitress."""
    import waitress

    logging.getLogger("waitress").setLevel(logging.ERROR)
    waitress.serve(app, listen=f"127.0.0.1:{sys.argv[1]}", threads=threads)
