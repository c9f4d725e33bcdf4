"""Two connections in a queue. Culprit: load_cart, which keeps one long. Decoy: render_page."""

import os
import queue
import socket

from work import MARGIN, crunch, mendable, render_page, rounds_in

PAGE = rounds_in(16.0 / 2 / MARGIN)  # two connections, 16 ms each

PORT = int(os.environ.get("NEIGHBOUR", "0"))
POOL: queue.Queue = queue.Queue()
for _ in range(2):
    POOL.put(None)


def checkout() -> socket.socket:
    return POOL.get() or socket.create_connection(("127.0.0.1", PORT))


@mendable
def load_cart(link: socket.socket) -> bytes:
    link.sendall(b"GET /cart HTTP/1.1\r\n\r\n")
    return link.recv(4096)


def cart_page() -> bytes:
    link = checkout()
    try:
        cart = load_cart(link)
    finally:
        POOL.put(link)
    crunch(5_000)
    return cart


def app(environ, start_response):
    page = render_page(PAGE)
    cart_page()
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]
