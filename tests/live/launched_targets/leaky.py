"""A service with a planted hot line, leak and wait: `leaky.py KIND PORT [TURNS]`.

KIND is `serial` (one thread), `threads` (one a request), `tasks` (asyncio) or `uvloop`. `spin`
uses the CPU for so many turns, `keep` keeps 100 kB of each request for ever, `remember` the same
four values again and again, and of tasks `pause` awaits 20 ms.
"""

import asyncio
import importlib
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

KEPT: list[bytearray] = []
TURNS = int(sys.argv[3]) if len(sys.argv) > 3 else 20_000
REMEMBERED: dict[int, bytearray] = {}


def spin() -> int:
    total = 0
    for number in range(TURNS):
        total += number * number % 7
    return total


def keep() -> None:
    KEPT.append(bytearray(b"x" * 100_000))


def remember(total: int) -> None:
    REMEMBERED[len(KEPT) % 4] = bytearray(b"y" * (100_000 + total % 7))


async def pause() -> None:
    await asyncio.sleep(0.02)


def work() -> bytes:
    total = spin()
    keep()
    remember(total)
    return b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.wfile.write(work())

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        return


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await pause()
    writer.write(work())
    await writer.drain()
    writer.close()


async def serve(port: int) -> None:
    server = await asyncio.start_server(handle, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    kind, port = sys.argv[1], int(sys.argv[2])
    print("the words of the log", flush=True)
    if kind == "uvloop":
        asyncio.set_event_loop_policy(importlib.import_module("uvloop").EventLoopPolicy())
    if kind in ("tasks", "uvloop"):
        asyncio.run(serve(port))
    else:
        servers = {"serial": HTTPServer, "threads": ThreadingHTTPServer}
        servers[kind](("127.0.0.1", port), Handler).serve_forever()
