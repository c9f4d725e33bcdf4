"""Forked workers with hardly any room to wait before them. Culprit: stamp_receipt. Decoy:
render_page.
"""

import time

from work import MARGIN, mendable, plain_answer, render_page, rounds_in

PAGE = rounds_in(12.0 / 2 / MARGIN)  # two workers wait 12 ms each


@mendable
def stamp_receipt() -> None:
    time.sleep(0.012)


def app(environ, start_response):
    page = render_page(PAGE)
    stamp_receipt()
    return plain_answer(start_response, page)
