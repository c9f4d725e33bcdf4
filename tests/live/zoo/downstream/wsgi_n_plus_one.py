"""One question to a neighbour per row. Culprit: get_customer or its caller list_orders. Decoy:
render_page.
"""

import http.client
import os
import threading

from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(8 * 8.0 / 8 / MARGIN)  # eight threads, eight questions of 8 ms

PORT = int(os.environ.get("NEIGHBOUR", "0"))
_local = threading.local()


def get_customer(number: int) -> bytes:
    if not hasattr(_local, "http"):
        _local.http = http.client.HTTPConnection("127.0.0.1", PORT)
    _local.http.request("GET", f"/customer/{number}")
    return _local.http.getresponse().read()


@mendable
def list_orders() -> list[bytes]:
    return [get_customer(n) for n in range(8)]


def app(environ, start_response):
    list_orders()
    page = render_page(PAGE)
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]
