"""A new connection to PostgreSQL for every request. Culprit: open_ledger. Decoy: render_page."""

import os

import psycopg
from work import MARGIN, mendable, plain_answer, render_page, rounds_in

PAGE = rounds_in(5.0 / MARGIN)
DATABASE = f"host=127.0.0.1 port={os.environ.get('NEIGHBOUR')} user=zoo dbname=postgres"


@mendable
def open_ledger() -> None:
    with psycopg.connect(DATABASE) as ledger:
        ledger.execute("SELECT 1")


def app(environ, start_response):
    open_ledger()
    return plain_answer(start_response, render_page(PAGE))
