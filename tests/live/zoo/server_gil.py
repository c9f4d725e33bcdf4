"""A thread per connection, all of them computing. Culprit: total_up. Decoys: a constant wait, and
render_page.
"""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from work import render_page


def total_up(count: int) -> int:
    total = 0
    for i in range(count):
        total += (i * 13) % 29
    return total


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        time.sleep(0.03)
        total_up(180_000)
        page = render_page(40_000)
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *args) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 512


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
