"""The conformance routes as an ASGI app (uvicorn)."""


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    path = scope["path"]

    async def answer(status, *pieces, length=None):
        headers = [] if length is None else [(b"content-length", str(length).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    if path == "/fixed":
        await answer(200, b"fixed", length=5)
    elif path == "/chunked":
        await answer(200, b"one" * 1000, b"two" * 1000, b"three" * 1000)
    elif path == "/empty":
        await answer(204)
    elif path == "/big":
        await answer(200, b"x" * (1 << 20), length=1 << 20)
    elif path == "/echo":
        body = b""
        while True:
            event = await receive()
            body += event.get("body", b"")
            if not event.get("more_body"):
                break
        await answer(201, body, length=len(body))
    else:
        await answer(404, length=0)
