"""A loop over three small functions, on the event loop. Culprit: match_offers, which has the loop.
Decoys: a long await, and render_page.
"""

import asyncio
import sys

from aiohttp import web
from work import MARGIN, mendable, render_page, rounds_in

OFFERS = rounds_in(6.0) // 60  # about 6 ms
PAGE = rounds_in(6.0 / MARGIN)


def distance(offer: int) -> int:
    return sum((offer * k) % 7 for k in range(12))


def discount(offer: int) -> int:
    return sum((offer + k) % 5 for k in range(12))


def rating(offer: int) -> int:
    return sum((offer ^ k) % 3 for k in range(12))


@mendable
def match_offers(offers: int) -> int:
    best = 0
    for offer in range(offers):
        best = max(best, distance(offer) + discount(offer) + rating(offer))
    return best


async def home(request):
    await asyncio.sleep(0.03)
    match_offers(OFFERS)
    return web.Response(body=render_page(PAGE))


app = web.Application()
app.router.add_get("/", home)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
