"""Blocking calls handed to a small executor. Culprit: read_ledger, in its threads. Decoys:
render_page, a long await.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(30.0 / 3 / MARGIN)  # three threads, 30 ms each

POOL = ThreadPoolExecutor(3)


@mendable
def read_ledger() -> int:
    time.sleep(0.03)
    return 1


async def home(request):
    await asyncio.get_running_loop().run_in_executor(POOL, read_ledger)
    await asyncio.sleep(0.02)
    return Response(render_page(PAGE))


app = Starlette(routes=[Route("/", home)])
