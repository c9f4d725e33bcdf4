"""Three permits for a slow replica. Culprit: query_replica. Decoy: render_page."""

import http.client
import os
import threading

from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(25.0 / 3 / MARGIN)  # three permits, 25 ms each

PORT = int(os.environ.get("NEIGHBOUR", "0"))
PERMITS = threading.BoundedSemaphore(3)
_local = threading.local()


@mendable
def query_replica() -> bytes:
    with PERMITS:
        if not hasattr(_local, "http"):
            _local.http = http.client.HTTPConnection("127.0.0.1", PORT)
        _local.http.request("GET", "/row")
        return _local.http.getresponse().read()


def app(environ, start_response):
    page = render_page(PAGE)
    query_replica()
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]
