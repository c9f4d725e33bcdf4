"""Every request writes a line to a slow log. Culprit: emit, under the logging lock. Decoy:
render_page.
"""

import logging
import time

from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(5.0 / MARGIN)  # the logging lock is held for 5 ms


class SlowHandler(logging.Handler):
    @mendable
    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)
        time.sleep(0.005)


log = logging.getLogger("shop")
log.addHandler(SlowHandler())
log.propagate = False
log.setLevel(logging.INFO)


def app(environ, start_response):
    page = render_page(PAGE)
    log.info("answered %s", environ["PATH_INFO"])
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]
