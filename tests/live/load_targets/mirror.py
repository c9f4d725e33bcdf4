"""A server that answers with each request, as it came. Listens on the unix socket or
the address that is named; prints "ready PORT" (0 of a unix socket).
"""

import asyncio
import re
import sys


async def serve(reader, writer):
    try:
        while True:
            whole = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", whole)
            if length:
                whole += await reader.readexactly(int(length[1]))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole) + whole)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(where):
    if "/" in where:
        server, port = await asyncio.start_unix_server(serve, where), 0
    else:
        server = await asyncio.start_server(serve, where, 0, backlog=1000)
        port = server.sockets[0].getsockname()[1]
    print("ready", port, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
