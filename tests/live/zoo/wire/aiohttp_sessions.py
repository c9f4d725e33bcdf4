"""A new client session and connection for every question. Culprit: ask_rates. Decoys: a long await,
and render_page.
"""

import asyncio
import sys

import aiohttp
from aiohttp import web
from asking import PORT
from work import mendable, render_page


@mendable
async def ask_rates() -> bytes:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{PORT}/rates") as answer,
    ):
        return await answer.read()


async def home(request):
    await asyncio.sleep(0.02)
    await ask_rates()
    return web.Response(body=render_page(2_000))


app = web.Application()
app.router.add_get("/", home)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
