"""A lock between greenlets, held while waiting. Culprit: reserve_seat. Decoy: render_page."""

import threading
import time

from work import MARGIN, mendable, plain_answer, render_page, rounds_in

PAGE = rounds_in(6.0 / MARGIN)  # the lock is held for 6 ms
LOCK = threading.Lock()  # gevent's, once its worker has patched the module


@mendable
def reserve_seat() -> None:
    with LOCK:
        time.sleep(0.006)


def app(environ, start_response):
    page = render_page(PAGE)
    reserve_seat()
    return plain_answer(start_response, page)
