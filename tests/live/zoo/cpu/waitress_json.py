"""A large body is written as JSON by C code that keeps the GIL. Culprit: list_catalogue. Decoys: a
constant wait, and render_page.
"""

import json
import time

from flask import Flask, Response
from serving import under_waitress
from work import MARGIN, mendable, render_page, rounds_in

app = Flask(__name__)
PAGE = rounds_in(8.0 / MARGIN)
ITEMS = [{"sku": f"A{n}", "price": n * 1.01, "tags": ["a", "b", str(n)]} for n in range(4_000)]


@mendable
def list_catalogue() -> str:
    return json.dumps(ITEMS)


def wait_for_banner() -> None:
    time.sleep(0.02)


@app.get("/")
def catalogue():
    wait_for_banner()
    render_page(PAGE)
    return Response((list_catalogue() or "")[:2000])


under_waitress(app, 16)
