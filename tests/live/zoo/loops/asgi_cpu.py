"""CPU in a coroutine. Culprit: score_items. Decoys: a long await on a neighbour's behalf, and
render_page.
"""

import asyncio

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from work import mendable, render_page


@mendable
def score_items(count: int) -> float:
    best = 0.0
    for i in range(count):
        best = max(best, sum((i * k) % 11 for k in range(40)) / (i + 1))
    return best


async def wait_for_mail() -> None:
    await asyncio.sleep(0.05)


async def home(request):
    await wait_for_mail()
    score_items(1_500)
    return Response(render_page(15_000))


app = Starlette(routes=[Route("/", home)])
