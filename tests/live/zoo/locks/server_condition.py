"""Two printers, waited for with a condition. Culprit: print_label. Decoy: render_page."""

import threading
import time

from serving import serve
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(14.0 / 2 / MARGIN)  # two printers, 14 ms each
FREE = threading.Condition()
PRINTERS = [1, 2]


@mendable
def print_label(printer: int) -> None:
    time.sleep(0.014)


def label() -> None:
    with FREE:
        FREE.wait_for(lambda: PRINTERS)
        printer = PRINTERS.pop()
    print_label(printer)
    with FREE:
        PRINTERS.append(printer)
        FREE.notify()


def page() -> bytes:
    body = render_page(PAGE)
    label()
    return body


serve(page)
