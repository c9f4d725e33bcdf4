"""How services of the zoo ask the neighbour behind them: one kept connection a thread, or one a
question in a coroutine.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import threading

PORT = int(os.environ.get("NEIGHBOUR", "0"))
_local = threading.local()


def ask(path: str) -> bytes:
    """The neighbour's answer; the calling thread waits for it."""
    if not hasattr(_local, "http"):
        _local.http = http.client.HTTPConnection("127.0.0.1", PORT)
    _local.http.request("GET", path)
    return _local.http.getresponse().read()


async def ask_awaited(path: str) -> bytes:
    """The neighbour's answer; the calling coroutine waits for it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: zoo\r\n\r\n".encode())
    answer = await reader.readuntil(b"ok")
    writer.close()
    return answer
