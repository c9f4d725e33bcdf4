"""Greenlets that wait for a neighbour, four at a time. Culprit: ask_weather. Decoy: render_page."""

import threading

from asking import ask
from work import MARGIN, mendable, plain_answer, render_page, rounds_in

PAGE = rounds_in(24.0 / 4 / MARGIN)  # four at a time, 24 ms each
PERMITS = threading.BoundedSemaphore(4)


@mendable
def ask_weather() -> bytes:
    with PERMITS:
        return ask("/weather")


def app(environ, start_response):
    page = render_page(PAGE)
    ask_weather()
    return plain_answer(start_response, page)
