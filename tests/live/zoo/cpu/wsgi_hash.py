"""Passwords hashed in C with the GIL released. Culprit: hash_password. Decoy: render_page."""

import hashlib

from work import mendable, render_page


@mendable
def hash_password(password: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password, b"salt", 40_000)


def app(environ, start_response):
    hash_password(b"open sesame")
    page = render_page(60_000)
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]
