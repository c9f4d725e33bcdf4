"""An asyncio lock held over an await. Culprit: renew_token. Decoys: a long await, render_page."""

import asyncio
import sys

from aiohttp import web
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(6.0 / MARGIN)  # the lock is held for 6 ms
LOCK = asyncio.Lock()


@mendable
async def renew_token() -> str:
    async with LOCK:
        await asyncio.sleep(0.006)
        return "token"


async def home(request):
    await asyncio.sleep(0.03)
    await renew_token()
    return web.Response(body=render_page(PAGE))


app = web.Application()
app.router.add_get("/", home)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
