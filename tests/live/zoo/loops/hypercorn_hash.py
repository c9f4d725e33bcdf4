"""Passwords hashed on the event loop, by C code that lets the GIL go to nobody. Culprit:
check_password. Decoy: render_page.
"""

import hashlib

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(6.0 / MARGIN)


@mendable
def check_password(password: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password, b"salt", 20_000)


async def home(request):
    check_password(b"open sesame")
    return Response(render_page(PAGE))


app = Starlette(routes=[Route("/", home)])
