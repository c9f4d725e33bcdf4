"""A lock held while waiting. Culprit: reserve_stock. Decoy: render_page."""

import threading
import time

from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(6.0 / MARGIN)  # the lock is held for 6 ms

LOCK = threading.Lock()
STOCK = {"A1": 10_000_000}


@mendable
def reserve_stock(sku: str) -> None:
    with LOCK:
        time.sleep(0.006)
        STOCK[sku] -= 1


def app(environ, start_response):
    page = render_page(PAGE)
    reserve_stock("A1")
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]
