"""A service that is full of secrets: it says one in every answer, in its headers, on its standard
error, in the name of a thread, and where it redirects to. Prints `ready PORT`.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

BODY, COOKIE, LOCATION, PRINTED, THREAD = os.environ["SHOP_ANSWERS"].split()
SET_NAME = 15  # prctl(2), PR_SET_NAME


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        status = {"/moved": 302, "/broken": 500}.get(path, 200)
        body = f"{BODY} {work()}".encode()
        self.send_response(status)
        self.send_header("Set-Cookie", f"session={COOKIE}")
        self.send_header("Content-Length", str(len(body)))
        if status == 302:
            self.send_header("Location", f"/next?token={LOCATION}")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


def work() -> int:
    return sum(n * n % 7 for n in range(15_000))


def titled() -> None:
    """A thread that calls itself by a title with a secret in it, and has work to do."""
    ctypes.CDLL(None).prctl(SET_NAME, f"pw={THREAD}".encode()[:15], 0, 0, 0)
    while True:
        threading.Event().wait(0.02)
        work()


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=titled, daemon=True).start()
print(PRINTED, file=sys.stderr, flush=True)
print("ready", server.server_address[1], flush=True)
server.serve_forever()
