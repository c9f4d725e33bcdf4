"""A regular expression that backtracks, holding the GIL. Culprit: check_address. Decoys:
render_page and a constant wait.
"""

import re
import time

from work import mendable, render_page

ADDRESS = re.compile(r"^(\w+\s?)*:$")


@mendable
def check_address(text: str) -> bool:
    return ADDRESS.match(text) is not None


def wait_for_banner() -> None:
    time.sleep(0.02)


def app(environ, start_response):
    wait_for_banner()
    check_address("an addressss of wordss")
    page = render_page(20_000)
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]
