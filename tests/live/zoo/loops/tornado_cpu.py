"""CPU on Tornado's loop. Culprit: lay_out. Decoys: a long await, and render_page."""

import asyncio
import sys

import tornado.web
from work import MARGIN, mendable, render_page, rounds_in

LAYOUT, PAGE = rounds_in(6.0), rounds_in(6.0 / MARGIN)


@mendable
def lay_out(rounds: int) -> int:
    total = 0
    for i in range(rounds):
        total += i * i % 7
    return total


class Home(tornado.web.RequestHandler):
    async def get(self):
        await asyncio.sleep(0.03)
        lay_out(LAYOUT)
        self.finish(render_page(PAGE))


async def main() -> None:
    tornado.web.Application([("/", Home)], log_function=lambda _: None).listen(int(sys.argv[1]))
    await asyncio.Event().wait()


asyncio.run(main())
