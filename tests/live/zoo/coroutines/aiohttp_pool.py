"""Two connections in an asyncio queue. Culprit: read_balance, which keeps one long. Decoys: a long
await elsewhere, and render_page.
"""

import asyncio
import sys

from aiohttp import web
from asking import ask_awaited
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(16.0 / 2 / MARGIN)  # two connections, 16 ms each
POOL: asyncio.Queue = asyncio.Queue()


@mendable
async def read_balance() -> bytes:
    return await ask_awaited("/balance")


async def balance() -> bytes:
    connection = await POOL.get()
    try:
        return await read_balance()
    finally:
        POOL.put_nowait(connection)


async def home(request):
    await asyncio.sleep(0.02)
    await balance()
    return web.Response(body=render_page(PAGE))


POOL.put_nowait("one")
POOL.put_nowait("two")
app = web.Application()
app.router.add_get("/", home)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
