"""Sync endpoints in a thread pool of eight. Culprit: send_mail. Decoy: render_page."""

import time

import anyio.to_thread
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(60.0 / 8 / MARGIN)  # eight threads, 60 ms each


@mendable
def send_mail() -> None:
    time.sleep(0.06)


def order(request):
    page = render_page(PAGE)
    send_mail()
    return Response(page)


class Limited:
    def __init__(self, app) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = 8
        await self.app(scope, receive, send)


app = Limited(Starlette(routes=[Route("/", order)]))
