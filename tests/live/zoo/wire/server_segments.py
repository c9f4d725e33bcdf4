"""Head and body leave in two segments, and the second waits for the first one's acknowledgement.
Culprit: send_page. Decoy: render_page.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from work import MENDED, render_page


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def send_page(self, page: bytes) -> None:
        if MENDED != "send_page":
            self.end_headers()  # sends what there is
            self.wfile.write(page)
        else:
            self._headers_buffer.extend([b"\r\n", page])
            self.flush_headers()

    def do_GET(self) -> None:
        page = render_page(15_000)
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.send_page(page)

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 512


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
