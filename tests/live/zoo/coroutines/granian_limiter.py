"""Four at a time, by anyio's limiter. Culprit: call_partner. Decoy: render_page."""

import anyio
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(30.0 / 4 / MARGIN)  # four at a time, 30 ms each
LIMITS: list[anyio.CapacityLimiter] = []


@mendable
async def call_partner() -> None:
    if not LIMITS:
        LIMITS.append(anyio.CapacityLimiter(4))
    async with LIMITS[0]:
        await anyio.sleep(0.03)


async def home(request):
    await call_partner()
    return Response(render_page(PAGE))


app = Starlette(routes=[Route("/", home)])
