"""Forked workers that wait for one another's transactions in one database file. Culprit:
post_entry. Decoy: render_page.
"""

import os
import sqlite3
import tempfile
import time

from flask import Flask
from work import MARGIN, mendable, render_page, rounds_in

app = Flask(__name__)
PAGE = rounds_in(8.0 / MARGIN)  # the file is locked for 8 ms
PATH = os.path.join(tempfile.gettempdir(), f"zoo-{os.getppid()}.ledger")
_kept: list[sqlite3.Connection] = []


@mendable
def post_entry() -> None:
    if not _kept:
        _kept.append(sqlite3.connect(PATH, timeout=30, isolation_level=None))
        _kept[0].execute("CREATE TABLE IF NOT EXISTS ledger (id INTEGER PRIMARY KEY, sum INT)")
    _kept[0].execute("BEGIN EXCLUSIVE")
    time.sleep(0.008)  # what belongs to the entry, looked up elsewhere
    _kept[0].execute("ROLLBACK")


@app.get("/")
def entry():
    page = render_page(PAGE)
    post_entry()
    return page
