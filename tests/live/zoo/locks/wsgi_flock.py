"""Forked workers that share a counter file. Culprit: update_counter, under a file lock. Decoy:
render_page.
"""

import fcntl
import os
import tempfile
import time

from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(6.0 / MARGIN)  # the file is locked for 6 ms

PATH = os.path.join(tempfile.gettempdir(), f"zoo-{os.getppid()}.counter")


@mendable
def update_counter() -> None:
    with open(PATH, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        count = int(file.read() or 0)
        time.sleep(0.006)
        file.truncate(0)
        file.write(str(count + 1))


def app(environ, start_response):
    page = render_page(PAGE)
    update_counter()
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]
