"""Coroutines that wait for Redis, which looks at every key for each. Culprit: count_visitors.
Decoys: a long await, and render_page.
"""

import asyncio
import os
import sys

import redis.asyncio
from aiohttp import web
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(8.0 / MARGIN)
STORE = redis.asyncio.Redis(port=int(os.environ.get("NEIGHBOUR", "0")))


@mendable
async def count_visitors() -> int:
    return len(await STORE.keys("session:nobody:*"))


async def home(request):
    await asyncio.sleep(0.02)
    await count_visitors()
    return web.Response(body=render_page(PAGE))


app = web.Application()
app.router.add_get("/", home)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
