"""So many at once, and the rest are refused at once. Culprit: too_many. Decoys: a long await, and
render_page.
"""

import asyncio

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from work import mendable, render_page

AT_ONCE = 6
INSIDE: set[int] = set()


@mendable
def too_many() -> bool:
    return len(INSIDE) >= AT_ONCE


async def home(request):
    if too_many():
        return Response(status_code=503)
    INSIDE.add(id(request))
    try:
        await asyncio.sleep(0.04)
    finally:
        INSIDE.discard(id(request))
    return Response(render_page(8_000))


app = Starlette(routes=[Route("/", home)])
