"""SQLAlchemy's pool of two, held over a call to a neighbour. Culprit: close_books. Decoy:
render_page.
"""

from asking import ask
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool
from work import MARGIN, mendable, render_page, rounds_in

app = Flask(__name__)
PAGE = rounds_in(16.0 / 2 / MARGIN)  # two connections, 16 ms each
DATABASE = create_engine(
    "sqlite://",
    poolclass=QueuePool,
    pool_size=2,
    max_overflow=0,
    pool_timeout=30,
    connect_args={"check_same_thread": False},
)


@mendable
def close_books(connection) -> None:
    ask("/close")


@app.get("/")
def books():
    page = render_page(PAGE)
    with DATABASE.connect() as connection:
        connection.execute(text("SELECT 1"))
        close_books(connection)
    return page
