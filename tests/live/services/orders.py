"""A threaded service in front of something else, each thread with a connection of its own.

`orders.py postgres PORT`: every request scans a table without an index; `orders.py lock PORT`: each
updates one and the same row, slowly; `orders.py http PORT`: it asks another service, which
computes. Culprit: `recent_orders`. Decoy: `render_page`, which has the CPU in this process.
"""

import http.client
import http.server
import sys
import threading
from pathlib import Path

# A library: an application's client of its database is nobody's suspect.
sys.path.append(str(Path(__file__).parent / "site-packages"))
from pg_wire import Connection

KIND, PORT = sys.argv[1], int(sys.argv[2])
HERE = threading.local()


def connection():
    if not hasattr(HERE, "kept"):
        far = http.client.HTTPConnection("127.0.0.1", PORT)
        HERE.kept = far if KIND == "http" else Connection(PORT)
    return HERE.kept


def recent_orders() -> int:
    if KIND == "http":
        connection().request("GET", "/prices")
        return len(connection().getresponse().read())
    if KIND == "lock":
        return len(
            connection().query(
                "BEGIN; UPDATE stock SET left_over = left_over - 1 WHERE id = 1;"
                " SELECT pg_sleep(0.02); COMMIT"
            )
        )
    return len(connection().query("SELECT sum(amount) FROM orders WHERE customer = 7"))


def render_page() -> bytes:
    total = 0
    for i in range(5_000):
        total += i * i % 7
    return str(total).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        recent_orders()
        page = render_page()
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
print("ready", server.server_port, flush=True)
server.serve_forever()
