"""PostgreSQL reads a whole table for each request. Culprit: recent_orders. Decoy: render_page."""

import os
import threading

import psycopg
from work import MARGIN, mendable, plain_answer, render_page, rounds_in

PAGE = rounds_in(6.0 / MARGIN)
DATABASE = f"host=127.0.0.1 port={os.environ.get('NEIGHBOUR')} user=zoo dbname=postgres"
_local = threading.local()


@mendable
def recent_orders(customer: int) -> list[tuple]:
    if not hasattr(_local, "db"):
        _local.db = psycopg.connect(DATABASE, autocommit=True)
    query = "SELECT id, total FROM orders WHERE customer = %s ORDER BY total LIMIT 5"
    return _local.db.execute(query, (customer,)).fetchall()


def app(environ, start_response):
    recent_orders(17)
    return plain_answer(start_response, render_page(PAGE))
