"""The projects the reviewed diffs edit: small, but laid out as such services are."""
# ruff: noqa: E501  (other projects' lines, as they are)

SHOP = {
    "shop/__init__.py": "",
    "shop/app.py": (
        '''\
"""The shop's HTTP face."""

import json
import logging

from flask import Flask, Response, request

from shop import catalog, settings
from shop.cart import Cart
from shop.db import fetch_items, fetch_reviews
from shop.pricing import total_price

log = logging.getLogger(__name__)
PAGE_SIZE = 50
MAX_REVIEWS = 20


def create_app():
    app = Flask(__name__)
    app.config["JSON_SORT_KEYS"] = True

    @app.get("/items")
    def list_items():
        page = int(request.args.get("page", 1))
        rows = fetch_items(page, PAGE_SIZE)
        log.debug("listing %d items", len(rows))
        return as_json([catalog.describe(row) for row in rows])

    @app.get("/items/<int:item>/reviews")
    def list_reviews(item):
        rows = fetch_reviews(item)[:MAX_REVIEWS]
        return as_json([review_line(row) for row in rows])

    @app.post("/checkout")
    def checkout():
        cart = Cart.from_json(request.get_json())
        return as_json({"total": total_price(cart.lines, settings.CURRENCY)})

    return app


def as_json(payload):
    """A JSON response."""
    return Response(json.dumps(payload, sort_keys=True), mimetype="application/json")


def review_line(row):
    stars = "*" * row["stars"]
    return {"stars": stars, "text": row["text"].strip()}
'''
    ),
    "shop/catalog.py": (
        '''\
import re
import time

from shop.db import fetch_tags

SLUG = re.compile(r"[^a-z0-9]+")


def describe(row):
    """One item as the API shows it."""
    tags = [tag["name"] for tag in fetch_tags(row["id"])]
    return {
        "id": row["id"],
        "name": row["name"],
        "slug": slug_of(row["name"]),
        "tags": sorted(tags),
        "age_days": age_in_days(row["created"]),
    }


def slug_of(name):
    return SLUG.sub("-", name.lower()).strip("-")


def age_in_days(created):
    return int((time.time() - created) / 86400)


def related(row, rows):
    found = []
    for other in rows:
        if other["id"] != row["id"] and other["name"] not in [r["name"] for r in found]:
            found.append(other)
    return found
'''
    ),
    "shop/cart.py": (
        '''\
class Cart:
    """Lines of a shopping cart."""

    def __init__(self, lines):
        self.lines = lines
        self.currency = "EUR"

    @classmethod
    def from_json(cls, payload):
        return cls([(line["sku"], line["count"]) for line in payload["lines"]])

    def weight(self):
        weight = 0
        for sku, count in self.lines:
            weight = weight + self.weigh(sku) * count
        return weight

    def weigh(self, sku):
        return 100 + len(sku)

    def summary(self):
        text = ""
        for sku, count in self.lines:
            text = text + f"{sku} x {count}\\n"
        return text
'''
    ),
    "shop/pricing.py": (
        """\
from decimal import Decimal

VAT = Decimal("0.20")


def total_price(lines, currency):
    total = Decimal(0)
    for sku, count in lines:
        total += unit_price(sku, currency) * count
    return str(round(total * (1 + VAT), 2))


def unit_price(sku, currency):
    price = load_price(sku)
    return price * rate_for(currency)


def load_price(sku):
    table = read_price_table()
    return table[sku]


def read_price_table():
    with open("prices.txt") as lines:
        return {sku: Decimal(price) for sku, price in (line.split() for line in lines)}


def rate_for(currency):
    rates = {"EUR": Decimal(1), "USD": Decimal("1.1")}
    return rates[currency]
"""
    ),
    "shop/db.py": (
        """\
import sqlite3

from shop import settings


def connect():
    connection = sqlite3.connect(settings.DATABASE)
    connection.row_factory = sqlite3.Row
    return connection


def fetch_items(page, size):
    with connect() as db:
        return db.execute("SELECT * FROM items ORDER BY name LIMIT ? OFFSET ?", (size, (page - 1) * size)).fetchall()


def fetch_reviews(item):
    with connect() as db:
        return db.execute("SELECT * FROM reviews WHERE item_id = ?", (item,)).fetchall()


def fetch_tags(item):
    with connect() as db:
        return db.execute("SELECT name FROM tags WHERE item_id = ?", (item,)).fetchall()
"""
    ),
    "shop/settings.py": (
        """\
import os

DATABASE = os.environ.get("SHOP_DATABASE", "shop.db")
CURRENCY = "EUR"
POOL_SIZE = 5
QUERY_TIMEOUT = 30
"""
    ),
    "requirements.txt": "flask==3.0.0\ngunicorn==21.2.0\nredis==5.0.1\nsqlalchemy==2.0.23\n",
    "requirements-dev.txt": "pytest==8.0.0\nruff==0.4.0\n",
    "Dockerfile": (
        """\
FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1
WORKDIR /srv
COPY requirements.txt .
RUN pip install -r requirements.txt
COPY shop shop
# the service
CMD ["gunicorn", "--workers", "2", "--bind", "0.0.0.0:8000", "shop.app:create_app()"]
"""
    ),
    "gunicorn.conf.py": (
        'workers = 2\nworker_class = "sync"\ntimeout = 30\nkeepalive = 2\nbind = "0.0.0.0:8000"\n'
    ),
    "docker-compose.yml": (
        """\
services:
  web:
    build: .
    environment:
      WORKERS: "2"
      LOG_LEVEL: info
    ports:
      - "8000:8000"
  db:
    image: postgres:15
    command: postgres -c shared_buffers=128MB -c max_connections=100
"""
    ),
    "migrations/001_init.sql": (
        "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, created REAL);\n"
        "CREATE TABLE reviews (id INTEGER PRIMARY KEY, item_id INTEGER, stars INTEGER, text TEXT);\n"
        "CREATE TABLE tags (item_id INTEGER, name TEXT);\n"
    ),
    "tests/test_catalog.py": (
        "from shop.catalog import slug_of\n"
        "\n"
        "\n"
        "def test_slug():\n"
        '    assert slug_of("A b") == "a-b"\n'
    ),
    "README.md": "# Shop\n\nA shop.\n",
    ".github/workflows/ci.yml": "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n",
    "prices.txt": "A1 10\nB2 20\n",
    "perfhunt.toml": 'schema = 1\n[target]\nurl = "http://127.0.0.1:8000"\n',
    "fixtures/items.csv": "id,name\n1,Lamp\n2,Chair\n",
    "shop/templates/items.html": (
        "<ul>{% for item in items %}<li>{{ item.name }}</li>{% endfor %}</ul>\n"
    ),
}
