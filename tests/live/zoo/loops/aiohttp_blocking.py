"""A database file that is read on the event loop. Culprit: load_settings. Decoys: a long await, and
render_page.
"""

import asyncio
import sys
import time

from aiohttp import web
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(5.0 / MARGIN)  # the loop is blocked for 5 ms


@mendable
def load_settings() -> dict:
    time.sleep(0.005)  # a network drive that takes its time
    return {"theme": "dark"}


async def home(request):
    await asyncio.sleep(0.03)
    load_settings()
    return web.Response(body=render_page(PAGE))


app = web.Application()
app.router.add_get("/", home)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
