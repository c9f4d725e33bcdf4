"""A lock on threads that are not Python's own. Culprit: claim_ticket. Decoy: render_page."""

import threading
import time

from work import MARGIN, mendable, plain_answer, render_page, rounds_in

PAGE = rounds_in(6.0 / MARGIN)  # the lock is held for 6 ms
LOCK = threading.Lock()


@mendable
def claim_ticket() -> None:
    with LOCK:
        time.sleep(0.006)


def app(environ, start_response):
    page = render_page(PAGE)
    claim_ticket()
    return plain_answer(start_response, page)
