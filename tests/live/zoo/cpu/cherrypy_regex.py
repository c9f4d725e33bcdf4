"""A pattern that backtracks, on the threads of CherryPy. Culprit: find_total. Decoys: a constant
wait, and render_page.
"""

import re
import sys
import time

import cherrypy
from work import mendable, render_page

TOTAL = re.compile(r"^(\d+,?)*;$")


@mendable
def find_total(text: str) -> bool:
    return TOTAL.match(text) is not None


def wait_for_banner() -> None:
    time.sleep(0.02)


class Shop:
    @cherrypy.expose
    def index(self):
        wait_for_banner()
        find_total("12,3456,789012345678")
        return render_page(10_000)


cherrypy.config.update(
    {
        "server.socket_port": int(sys.argv[1]),
        "server.thread_pool": 16,
        "server.socket_queue_size": 512,
        "log.screen": False,
        "engine.autoreload.on": False,
    }
)
cherrypy.quickstart(Shop())
