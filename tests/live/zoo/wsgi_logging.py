"""Every request writes a line to a slow log. Culprit: emit, under the logging lock. Decoy:
render_page.
"""

import logging
import time

from work import render_page


class SlowHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)
        time.sleep(0.005)


log = logging.getLogger("shop")
log.addHandler(SlowHandler())
log.propagate = False
log.setLevel(logging.INFO)


def app(environ, start_response):
    page = render_page(120_000)
    log.info("answered %s", environ["PATH_INFO"])
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]
