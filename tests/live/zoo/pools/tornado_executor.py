"""Blocking calls handed to two threads by Tornado. Culprit: render_pdf, in its threads. Decoys: a
long await, and render_page.
"""

import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import tornado.ioloop
import tornado.web
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(16.0 / 2 / MARGIN)  # two threads, 16 ms each
POOL = ThreadPoolExecutor(2)


@mendable
def render_pdf() -> None:
    time.sleep(0.016)


class Home(tornado.web.RequestHandler):
    async def get(self):
        await tornado.ioloop.IOLoop.current().run_in_executor(POOL, render_pdf)
        await asyncio.sleep(0.02)
        self.finish(render_page(PAGE))


async def main() -> None:
    tornado.web.Application([("/", Home)], log_function=lambda _: None).listen(int(sys.argv[1]))
    await asyncio.Event().wait()


asyncio.run(main())
