"""A log written to a slow place from the event loop. Culprit: emit. Decoy: render_page."""

import logging
import time

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(5.0 / MARGIN)  # the loop is blocked for 5 ms


class SlowHandler(logging.Handler):
    @mendable
    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)
        time.sleep(0.005)


log = logging.getLogger("shop")
log.addHandler(SlowHandler())
log.propagate = False
log.setLevel(logging.INFO)


async def home(request):
    log.info("answered %s", request.url.path)
    return Response(render_page(PAGE))


app = Starlette(routes=[Route("/", home)])
