"""A server that answers everything and remembers it: GET /seen tells. Prints "ready PORT".

`/fail` is a 500, `/slow` takes 50 ms, `/private…` is a 401 without an Authorization.
"""

import asyncio
import collections
import json
import re

SEEN = collections.Counter()
AGENTS = set()


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"(?i)content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            method, path, _ = head.split(" ", 2)
            if path == "/seen":
                answer = json.dumps({"paths": SEEN, "agents": sorted(AGENTS)}).encode()
            else:
                SEEN[f"{method} {path.split('?')[0]}"] += 1
                run = re.search(r"(?i)x-perfhunt-run: (\S+)", head)
                AGENTS.add(run[1] if run else "unmarked")
                answer = body or b"{}"
            if path == "/slow":
                await asyncio.sleep(0.05)
            status = "500 Oh No" if path == "/fail" else "200 OK"
            if path.startswith("/private") and "authorization:" not in head.lower():
                status = "401 Who Are You"
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer
            )
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
