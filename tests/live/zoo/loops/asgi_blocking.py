"""A blocking call in a coroutine. Culprit: load_profile. Decoy: render_page."""

import time

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(6.0 / MARGIN)  # the loop is blocked for 6 ms


@mendable
def load_profile(user: int) -> dict:
    time.sleep(0.006)
    return {"user": user}


async def home(request):
    load_profile(7)
    return Response(render_page(PAGE))


app = Starlette(routes=[Route("/", home)])
