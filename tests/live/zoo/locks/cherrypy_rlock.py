"""A lock its holder takes twice, on the threads of CherryPy. Culprit: update_index. Decoy:
render_page.
"""

import sys
import threading
import time

import cherrypy
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(6.0 / MARGIN)  # the lock is held for 6 ms
LOCK = threading.RLock()
SEEN: set[int] = set()


def note_seen(number: int) -> None:
    with LOCK:
        SEEN.add(number % 100)


@mendable
def update_index() -> None:
    with LOCK:
        note_seen(len(SEEN))
        time.sleep(0.006)


class Shop:
    @cherrypy.expose
    def index(self):
        page = render_page(PAGE)
        update_index()
        return page


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
