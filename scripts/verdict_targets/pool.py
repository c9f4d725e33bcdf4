"""A service that waits: each request holds one of four connections for WAIT microseconds, times
what the request asks for.
"""

import os
import threading
import time

WAIT = int(os.environ.get("WAIT", "2000")) / 1e6
CONNECTIONS = threading.BoundedSemaphore(4)


def app(environ, start_response):
    size = int(environ["QUERY_STRING"].partition("=")[2] or "1")
    with CONNECTIONS:
        time.sleep(WAIT * size)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
