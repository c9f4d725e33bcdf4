"""The shop's WSGI application: routes in, pages out."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from shop import pages, store
from shop.warehouse import stock_level

Answer = tuple[str, str, bytes]


def front_page(_: dict[str, Any]) -> Answer:
    return "200 OK", "text/html", pages.listing("Today in the shop", store.newest(12))


def product_list(environ: dict[str, Any]) -> Answer:
    page = int(parse_qs(environ["QUERY_STRING"]).get("page", ["1"])[0])
    return "200 OK", "text/html", pages.listing(f"Page {page}", store.page(page))


def product(environ: dict[str, Any]) -> Answer:
    found = store.product(environ["shop.sku"])
    if found is None:
        return "404 Not Found", "text/plain", b"no such product\n"
    return (
        "200 OK",
        "text/html",
        pages.product(found, stock_level(found["sku"]), store.related(found)),
    )


def search(environ: dict[str, Any]) -> Answer:
    words = parse_qs(environ["QUERY_STRING"]).get("q", [""])[0]
    return "200 OK", "text/html", pages.listing(f"Results for {words}", store.search(words))


def checkout(environ: dict[str, Any]) -> Answer:
    order = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    if stock_level(order["sku"]) < order.get("quantity", 1):
        return "409 Conflict", "application/json", b'{"error": "out of stock"}'
    number = store.place_order(order["sku"], order.get("quantity", 1))
    return "201 Created", "application/json", json.dumps({"order": number}).encode()


def health(_: dict[str, Any]) -> Answer:
    return "200 OK", "text/plain", b"ok\n"


ROUTES: list[tuple[str, re.Pattern[str], Callable[[dict[str, Any]], Answer]]] = [
    ("GET", re.compile(r"/"), front_page),
    ("GET", re.compile(r"/products"), product_list),
    ("GET", re.compile(r"/product/(?P<sku>[A-Z0-9-]+)"), product),
    ("GET", re.compile(r"/search"), search),
    ("POST", re.compile(r"/checkout"), checkout),
    ("GET", re.compile(r"/health"), health),
]


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The WSGI entry point."""
    for method, pattern, handler in ROUTES:
        match = pattern.fullmatch(environ["PATH_INFO"])
        if match and method == environ["REQUEST_METHOD"]:
            environ["shop.sku"] = match.groupdict().get("sku", "")
            status, kind, body = handler(environ)
            break
    else:
        status, kind, body = "404 Not Found", "text/plain", b"nothing here\n"
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]
