"""A service that spends its time computing: WORK units of text rendering per request, times what
the request asks for.
"""

import os

WORK = int(os.environ.get("WORK", "100"))


def app(environ, start_response):
    size = int(environ["QUERY_STRING"].partition("=")[2] or "1")
    rows = [
        f"<li>{i * 7919 % 1009:04d} {hash((i, size)) & 0xFFFF:x}</li>" for i in range(WORK * size)
    ]
    body = "".join(sorted(rows)[:20]).encode()
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(body)))])
    return [body]
