"""Writers that queue for one database file. Culprit: record_order. Decoy: render_page."""

import os
import sqlite3
import tempfile
import threading

from work import mendable, render_page

PATH = os.path.join(tempfile.gettempdir(), f"zoo-{os.getppid()}.sqlite")
_local = threading.local()


def connection() -> sqlite3.Connection:
    if not hasattr(_local, "db"):
        _local.db = sqlite3.connect(PATH, timeout=30, isolation_level=None)
        _local.db.execute("PRAGMA journal_mode=WAL")
        _local.db.execute(
            "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, sku TEXT, qty INT)"
        )
    return _local.db


@mendable
def record_order(lines: int) -> None:
    db = connection()
    db.execute("BEGIN IMMEDIATE")
    db.executemany(
        "INSERT INTO orders (sku, qty) VALUES (?, ?)", [(f"A{n % 7}", n) for n in range(lines)]
    )
    db.execute("DELETE FROM orders WHERE id < (SELECT max(id) FROM orders) - 2000")
    db.execute("COMMIT")


def app(environ, start_response):
    page = render_page(15_000)
    record_order(1500)
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]
