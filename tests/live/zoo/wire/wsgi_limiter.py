"""So many a second, and the rest are refused at once. Culprit: over_limit. Decoy: render_page."""

import threading
import time

from work import mendable, plain_answer, render_page

RATE = 120.0  # per second
LOCK = threading.Lock()
TOKENS = [RATE / 10, time.monotonic()]


@mendable
def over_limit() -> bool:
    with LOCK:
        now = time.monotonic()
        TOKENS[:] = [min(RATE / 10, TOKENS[0] + RATE * (now - TOKENS[1])), now]
        if TOKENS[0] < 1:
            return True
        TOKENS[0] -= 1
        return False


def app(environ, start_response):
    if over_limit():
        start_response("503 Service Unavailable", [("Content-Length", "0")])
        return [b""]
    return plain_answer(start_response, render_page(10_000))
