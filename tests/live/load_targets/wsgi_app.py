"""The conformance routes as a WSGI app (gunicorn)."""


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/fixed":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return [b"fixed"]
    if path == "/chunked":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"one" * 1000, b"two" * 1000, b"three" * 1000])
    if path == "/empty":
        start_response("204 No Content", [])
        return []
    if path == "/big":
        start_response("200 OK", [("Content-Length", str(1 << 20))])
        return [b"x" * (1 << 20)]
    if path == "/echo":
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response("201 Created", [("Content-Length", str(len(body)))])
        return [body]
    start_response("404 Not Found", [("Content-Length", "0")])
    return []
