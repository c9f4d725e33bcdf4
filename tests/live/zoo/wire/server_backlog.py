"""One thread accepts and answers, and five may wait. Culprit: write_audit. Decoy: render_page."""

import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(6.0 / MARGIN)  # the thread waits for 6 ms


@mendable
def write_audit() -> None:
    time.sleep(0.006)


class Handler(BaseHTTPRequestHandler):
    wbufsize = -1  # head and body leave together

    def do_GET(self) -> None:
        page = render_page(PAGE)
        write_audit()
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *args: object) -> None:
        pass


HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
