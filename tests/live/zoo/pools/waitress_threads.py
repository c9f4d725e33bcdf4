"""Four threads, each of which waits for a slow neighbour. Culprit: charge_card. Decoy:
render_page.
"""

from asking import ask
from flask import Flask
from serving import under_waitress
from work import MARGIN, mendable, render_page, rounds_in

app = Flask(__name__)
PAGE = rounds_in(30.0 / 4 / MARGIN)  # four threads, 30 ms each


@mendable
def charge_card() -> bytes:
    return ask("/charge")


@app.get("/")
def pay():
    charge_card()
    return render_page(PAGE)


under_waitress(app, 4)
