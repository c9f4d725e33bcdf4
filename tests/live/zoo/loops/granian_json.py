"""A large body is written as JSON on the event loop. Culprit: export_stock. Decoys: a long await,
and render_page.
"""

import asyncio
import json

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(8.0 / MARGIN)
ITEMS = [{"sku": f"A{n}", "price": n * 1.01, "tags": ["a", "b", str(n)]} for n in range(4_000)]


@mendable
def export_stock() -> str:
    return json.dumps(ITEMS)


async def home(request):
    await asyncio.sleep(0.03)
    render_page(PAGE)
    return Response((export_stock() or "")[:2000])


app = Starlette(routes=[Route("/", home)])
