"""A hot loop over three small functions, on threads. Culprit: price_cart, the loop. Decoys: a
constant wait, and render_page.
"""

import time

from flask import Flask
from work import MARGIN, mendable, render_page, rounds_in

app = Flask(__name__)
LINES = rounds_in(8.0) // 60  # about 8 ms
PAGE = rounds_in(8.0 / MARGIN)


def weight_of(line: int) -> int:
    return sum((line * k) % 7 for k in range(12))


def tax_of(line: int) -> int:
    return sum((line + k) % 5 for k in range(12))


def discount_of(line: int) -> int:
    return sum((line ^ k) % 3 for k in range(12))


@mendable
def price_cart(lines: int) -> int:
    total = 0
    for line in range(lines):
        total += weight_of(line) + tax_of(line) - discount_of(line)
    return total


def wait_for_banner() -> None:
    time.sleep(0.02)


@app.get("/")
def cart():
    wait_for_banner()
    price_cart(LINES)
    return render_page(PAGE)
