"""The catalogue and the orders, in a SQLite file next to the code."""

import os
import random
import sqlite3
import threading
from pathlib import Path
from typing import Any

DATABASE = Path(os.environ.get("SHOP_DATABASE", Path(__file__).parent.parent / "shop.sqlite"))
PRODUCTS, PAGE = 600, 24
_WORDS = [
    "oak",
    "steel",
    "linen",
    "blue",
    "green",
    "small",
    "large",
    "round",
    "folding",
    "heavy",
    "light",
    "garden",
    "desk",
    "lamp",
]
_local = threading.local()


def connection() -> sqlite3.Connection:
    """This thread's connection; each thread keeps its own."""
    if not hasattr(_local, "connection"):
        _local.connection = sqlite3.connect(DATABASE, timeout=10.0)
        _local.connection.row_factory = sqlite3.Row
    return _local.connection


def create() -> None:
    """Make and fill the database, unless it is there; the same products every time."""
    if DATABASE.exists():
        return
    chance = random.Random(1)
    building = DATABASE.with_suffix(f".{os.getpid()}")
    with sqlite3.connect(building) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute(
            "CREATE TABLE product"
            " (sku TEXT PRIMARY KEY, name TEXT, price INTEGER, tags TEXT, added INTEGER)"
        )
        made.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, sku TEXT, quantity INTEGER)")
        made.execute("CREATE INDEX product_added ON product (added)")
        for number in range(PRODUCTS):
            words = chance.sample(_WORDS, 4)
            row = (
                f"SKU-{number:04d}",
                " ".join(words),
                chance.randint(300, 90_000),
                ",".join(words),
                number,
            )
            made.execute("INSERT INTO product VALUES (?, ?, ?, ?, ?)", row)
    made.close()
    building.rename(DATABASE)


def newest(count: int) -> list[Any]:
    return (
        connection()
        .execute("SELECT * FROM product ORDER BY added DESC LIMIT ?", (count,))
        .fetchall()
    )


def page(number: int) -> list[Any]:
    first = (max(number, 1) - 1) * PAGE % PRODUCTS
    return (
        connection()
        .execute("SELECT * FROM product ORDER BY added LIMIT ? OFFSET ?", (PAGE, first))
        .fetchall()
    )


def product(sku: str) -> Any:
    return connection().execute("SELECT * FROM product WHERE sku = ?", (sku,)).fetchone()


def search(words: str) -> list[Any]:
    return (
        connection()
        .execute("SELECT * FROM product WHERE name LIKE ? LIMIT ?", (f"%{words}%", PAGE))
        .fetchall()
    )


def related(found: Any) -> list[Any]:
    near = (found["added"] - 15, found["added"] + 15)
    return (
        connection().execute("SELECT * FROM product WHERE added BETWEEN ? AND ?", near).fetchall()
    )


def place_order(sku: str, quantity: int) -> int:
    with connection() as writing:
        return (
            writing.execute(
                "INSERT INTO orders (sku, quantity) VALUES (?, ?)", (sku, quantity)
            ).lastrowid
            or 0
        )
