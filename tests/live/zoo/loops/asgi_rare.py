"""One request in twenty computes for long on the event loop. Culprit: export_rows. Decoy:
render_page, in every one.
"""

import itertools

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from work import mendable, render_page

NUMBER = itertools.count()


@mendable
def export_rows(count: int) -> str:
    return "\n".join(",".join(str(i * k % 97) for k in range(12)) for i in range(count))


async def home(request):
    if next(NUMBER) % 20 == 0:
        return Response((export_rows(40_000) or "")[:2000])
    return Response(render_page(25_000))


app = Starlette(routes=[Route("/", home)])
