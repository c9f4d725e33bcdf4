"""An nginx that lets through so many a second and makes the rest wait. Culprit: fetch_stock. Decoy:
render_page.
"""

from asking import ask
from work import MARGIN, mendable, plain_answer, render_page, rounds_in

PAGE = rounds_in(10.0 / MARGIN)  # one every 10 ms


@mendable
def fetch_stock() -> bytes:
    return ask("/")


def app(environ, start_response):
    fetch_stock()
    return plain_answer(start_response, render_page(PAGE))
