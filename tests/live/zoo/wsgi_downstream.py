"""Forked workers that wait for a slow neighbour. Culprit: ask_inventory. Decoy: render_page."""

import http.client
import os

from work import render_page

PORT = int(os.environ.get("NEIGHBOUR", "0"))
_kept: list[http.client.HTTPConnection] = []


def ask_inventory() -> bytes:
    if not _kept:
        _kept.append(http.client.HTTPConnection("127.0.0.1", PORT))
    _kept[0].request("GET", "/stock")
    return _kept[0].getresponse().read()


def app(environ, start_response):
    ask_inventory()
    page = render_page(180_000)
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]
