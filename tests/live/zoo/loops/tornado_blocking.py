"""A question asked with a blocking client on Tornado's loop. Culprit: find_session. Decoy:
render_page.
"""

import asyncio
import sys

import tornado.web
from asking import ask
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(6.0 / MARGIN)  # the loop is blocked for 6 ms


@mendable
def find_session() -> bytes:
    return ask("/session")


class Home(tornado.web.RequestHandler):
    async def get(self):
        find_session()
        self.finish(render_page(PAGE))


async def main() -> None:
    tornado.web.Application([("/", Home)], log_function=lambda _: None).listen(int(sys.argv[1]))
    await asyncio.Event().wait()


asyncio.run(main())
