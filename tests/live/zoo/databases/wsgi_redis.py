"""Redis looks at every key for each request. Culprit: list_sessions. Decoy: render_page."""

import os

import redis
from work import MARGIN, mendable, plain_answer, render_page, rounds_in

PAGE = rounds_in(8.0 / MARGIN)
STORE = redis.Redis(port=int(os.environ.get("NEIGHBOUR", "0")))


@mendable
def list_sessions() -> list[bytes]:
    return STORE.keys("session:nobody:*")


def app(environ, start_response):
    list_sessions()
    return plain_answer(start_response, render_page(PAGE))
