"""Forked workers that wait for a slow neighbour. Culprit: ask_inventory. Decoy: render_page."""

import http.client
import os

from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(2 * 40.0 / 4 / MARGIN)  # four workers wait 40 ms each, two cores compute

PORT = int(os.environ.get("NEIGHBOUR", "0"))
_kept: list[http.client.HTTPConnection] = []


@mendable
def ask_inventory() -> bytes:
    if not _kept:
        _kept.append(http.client.HTTPConnection("127.0.0.1", PORT))
    _kept[0].request("GET", "/stock")
    return _kept[0].getresponse().read()


def app(environ, start_response):
    ask_inventory()
    page = render_page(PAGE)
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]
