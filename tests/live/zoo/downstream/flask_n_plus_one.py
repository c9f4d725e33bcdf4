"""One question to a neighbour per line of the list, in forked workers. Culprit: list_prices or
price_of, which it calls. Decoy: render_page.
"""

from asking import ask
from flask import Flask
from work import MARGIN, mendable, render_page, rounds_in

app = Flask(__name__)
PAGE = rounds_in(2 * 6 * 6.0 / 4 / MARGIN)  # four workers ask six times 6 ms, two cores compute


def price_of(number: int) -> bytes:
    return ask(f"/price/{number}")


@mendable
def list_prices() -> list[bytes]:
    return [price_of(n) for n in range(6)]


@app.get("/")
def prices():
    list_prices()
    return render_page(PAGE)
