"""Work queued for two tasks. Culprit: send_push, in those tasks. Decoy: render_page."""

import asyncio
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(16.0 / 2 / MARGIN)  # two tasks, 16 ms each
JOBS: asyncio.Queue = asyncio.Queue()


@mendable
async def send_push() -> None:
    await asyncio.sleep(0.016)


async def work_off() -> None:
    while True:
        done = await JOBS.get()
        await send_push()
        done.set_result(None)


@asynccontextmanager
async def lifespan(app):
    tasks = [asyncio.create_task(work_off()) for _ in range(2)]
    yield
    for task in tasks:
        task.cancel()


async def home(request):
    done = asyncio.get_running_loop().create_future()
    JOBS.put_nowait(done)
    await done
    return Response(render_page(PAGE))


app = Starlette(routes=[Route("/", home)], lifespan=lifespan)
