"""The shop's pages, as HTML."""

from html import escape
from typing import Any


def _price(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _card(product: Any) -> str:
    return (
        f'<li class="card"><a href="/product/{escape(product["sku"])}">'
        f"{escape(product['name'].title())}</a>"
        f"<b>{_price(product['price'])}</b></li>"
    )


def listing(title: str, products: list[Any]) -> bytes:
    """A page of product cards."""
    cards = "\n".join(_card(p) for p in products)
    title = escape(title)
    return f"<!doctype html><title>{title}</title><h1>{title}</h1><ul>{cards}</ul>".encode()


def _likeness(one: Any, other: Any) -> float:
    mine, theirs = set(one["tags"].split(",")), set(other["tags"].split(","))
    nearness = 1 / (1 + abs(one["price"] - other["price"]) / 1000)
    return len(mine & theirs) / len(mine | theirs) + nearness


def product(found: Any, stock: int, others: list[Any]) -> bytes:
    """The page of one product, with what goes well with it."""
    alike = sorted(
        (o for o in others if o["sku"] != found["sku"]), key=lambda o: -_likeness(found, o)
    )[:6]
    name = escape(found["name"])
    return (
        f"<!doctype html><title>{name}</title><h1>{escape(found['name'].title())}</h1>"
        f"<p>{_price(found['price'])}, {stock} in stock</p>"
        f"<ul>{''.join(_card(p) for p in alike)}</ul>"
    ).encode()
