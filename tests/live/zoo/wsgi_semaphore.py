"""Three permits for a slow replica. Culprit: query_replica. Decoy: render_page."""

import http.client
import os
import threading

from work import render_page

PORT = int(os.environ.get("NEIGHBOUR", "0"))
PERMITS = threading.BoundedSemaphore(3)
_local = threading.local()


def query_replica() -> bytes:
    with PERMITS:
        if not hasattr(_local, "http"):
            _local.http = http.client.HTTPConnection("127.0.0.1", PORT)
        _local.http.request("GET", "/row")
        return _local.http.getresponse().read()


def app(environ, start_response):
    page = render_page(90_000)
    query_replica()
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]
