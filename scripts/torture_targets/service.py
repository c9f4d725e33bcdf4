"""A service under torture: 15 ms of work under one lock for each request, whose time of arrival it
appends to a file, eight bytes of time.monotonic each.

    service.py PORT FILE ANSWER     prints `ready PORT`; PORT 0: any

SIGUSR1: nobody without privileges may look at this process any more. SIGUSR2: it stops listening
and lets its connections go, and lives on.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOCK = threading.Lock()
WORK = 0.015  # seconds; so 66 requests per second are its capacity
PORT, FILE, ANSWER = int(sys.argv[1]), sys.argv[2], sys.argv[3].encode()
ARRIVALS = os.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
_PR_SET_DUMPABLE = 4  # prctl(2)
LINKS: set[socket.socket] = set()


def under_the_lock() -> None:
    with LOCK:
        time.sleep(WORK)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        LINKS.add(self.connection)

    def finish(self) -> None:
        LINKS.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        os.write(ARRIVALS, struct.pack("d", time.monotonic()))
        under_the_lock()
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        pass  # a client that goes away in the middle is what this is about


def hide(*_: object) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def let_go(*_: object) -> None:
    server.shutdown()
    server.server_close()
    for link in list(LINKS):
        with contextlib.suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    server = Server(("127.0.0.1", PORT), Handler)
    signal.signal(signal.SIGUSR1, hide)
    signal.signal(signal.SIGUSR2, let_go)
    print("ready", server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        signal.pause()
