"""Coroutines that wait for a neighbour, five at a time. Culprit: fetch_rates. Decoy:
render_page.
"""

import asyncio
import os

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(40.0 / 5 / MARGIN)  # five at a time, 40 ms each

PORT = int(os.environ.get("NEIGHBOUR", "0"))
GATE = asyncio.Semaphore(5)


@mendable
async def fetch_rates() -> bytes:
    async with GATE:
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        writer.write(b"GET /rates HTTP/1.1\r\n\r\n")
        answer = await reader.readuntil(b"ok")
        writer.close()
        return answer


async def home(request):
    await fetch_rates()
    return Response(render_page(PAGE))


app = Starlette(routes=[Route("/", home)])
