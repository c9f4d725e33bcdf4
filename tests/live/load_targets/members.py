"""A service for members: `POST /login` gives a token, in all the places where one may stand, to who
has the password; `GET /mine/USER` is for the token of that user alone, `GET /seen` says
who logged in. Prints "ready PORT".
"""

import asyncio
import json
import re

LOGINS = []


def answer(method, path, head, body):
    """(status, headers, body)."""
    if path == "/seen":
        return 200, "", json.dumps(LOGINS)
    if path == "/login":
        asked = json.loads(body)
        LOGINS.append(asked["user"])
        if asked["password"] != f"pw-{asked['user']}":
            return 401, "", '{"error": "hunter2"}'
        token = f"t-{asked['user']}-{len(LOGINS)}"
        cookies = f"Set-Cookie: other=1\r\nSet-Cookie: sid={token}; Path=/; HttpOnly\r\n"
        inside = {"access_token": token, "list": [{"a b": token}], "n": 7, "none": None}
        return 200, f"X-Token: {token}\r\n{cookies}", json.dumps({"data": inside})
    user = path.removeprefix("/mine/")
    token = re.search(r"(?i)\r\n(?:authorization: bearer |cookie: sid=)(\S+)", head)
    return (200 if token and token[1].startswith(f"t-{user}-") else 401), "", "{}"


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"(?i)content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            method, path, _ = head.split(" ", 2)
            status, headers, text = answer(method, path, head, body)
            headers += f"Content-Length: {len(text)}\r\n"
            writer.write(f"HTTP/1.1 {status} Told\r\n{headers}\r\n{text}".encode())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
