"""Archives packed by C code that lets the GIL go. Culprit: pack_archive. Decoys: a constant wait,
and render_page.
"""

import time
import zlib

from serving import serve
from work import MARGIN, mendable, render_page, rounds_in

PAGE = rounds_in(10.0 / MARGIN)
RECORDS = b"".join(str(n * n * 7919).encode() for n in range(40_000))


@mendable
def pack_archive() -> bytes:
    return zlib.compress(RECORDS[:160_000], 9)


def wait_for_banner() -> None:
    time.sleep(0.02)


def page() -> bytes:
    wait_for_banner()
    pack_archive()
    return render_page(PAGE)


serve(page)
