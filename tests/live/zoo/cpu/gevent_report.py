"""Greenlets that compute, one at a time. Culprit: build_report. Decoys: a constant wait, and
render_page.
"""

import time

from work import MARGIN, mendable, plain_answer, render_page, rounds_in

REPORT, PAGE = rounds_in(8.0), rounds_in(8.0 / MARGIN)


@mendable
def build_report(rounds: int) -> int:
    total = 0
    for i in range(rounds):
        total += i * i % 7
    return total


def wait_for_banner() -> None:
    time.sleep(0.02)  # gevent's, once its worker has patched the module


def app(environ, start_response):
    wait_for_banner()
    build_report(REPORT)
    return plain_answer(start_response, render_page(PAGE))
