"""An own protocol class that writes an answer in two pieces. Culprit: reply. Decoy: render_page."""

import socketserver
import sys

from work import MENDED, render_page


class Handler(socketserver.StreamRequestHandler):
    def reply(self, page: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(page)}\r\n\r\n".encode()
        pieces = [head, page] if MENDED != "reply" else [head + page]
        for piece in pieces:
            self.request.sendall(piece)

    def handle(self) -> None:
        while line := self.rfile.readline():
            while line.strip():
                line = self.rfile.readline()
            self.reply(render_page(15_000))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 512


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
