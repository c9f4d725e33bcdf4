"""Coroutines that wait for a neighbour that computes on the same cores. Culprit: get_estimate.
Decoys: a long await, and render_page.
"""

import asyncio
import sys

from aiohttp import web
from asking import ask_awaited
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(8.0 / MARGIN)  # the neighbour computes for 8 ms


@mendable
async def get_estimate() -> bytes:
    return await ask_awaited("/estimate")


async def home(request):
    await asyncio.sleep(0.02)
    await get_estimate()
    return web.Response(body=render_page(PAGE))


app = web.Application()
app.router.add_get("/", home)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
