"""Forked workers that compute. Culprit: price_basket. Decoys: a short sleep, and render_page."""

import time

from work import mendable, render_page


@mendable
def price_basket(lines: int) -> int:
    total = 0
    for i in range(lines):
        total += (i * 31) % 17 * (i % 5)
    return total


def fetch_banner() -> None:
    time.sleep(0.004)


def app(environ, start_response):
    fetch_banner()
    price_basket(120_000)
    page = render_page(40_000)
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]
