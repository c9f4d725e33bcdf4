"""A neighbour that computes: any HTTP request takes argv[2] milliseconds of its one core."""

from __future__ import annotations

import asyncio
import sys

from work import crunch, rounds_in

ROUNDS = rounds_in(float(sys.argv[2]))


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            crunch(ROUNDS)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", int(sys.argv[1]), backlog=512)
    await server.serve_forever()


asyncio.run(main())
