"""A neighbour that computes on the same cores. Culprit: ask_pricer. Decoy: render_page."""

from asking import ask
from work import MARGIN, mendable, plain_answer, render_page, rounds_in

PAGE = rounds_in(8.0 / MARGIN)  # the neighbour computes for 8 ms


@mendable
def ask_pricer() -> bytes:
    return ask("/price")


def app(environ, start_response):
    ask_pricer()
    return plain_answer(start_response, render_page(PAGE))
