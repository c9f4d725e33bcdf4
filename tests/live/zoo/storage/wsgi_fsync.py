"""Every request is written through to the disk. Culprit: append_journal. Decoy: render_page."""

import os
import tempfile

from work import mendable, render_page

JOURNAL = os.open(
    os.path.join(tempfile.gettempdir(), f"zoo-{os.getpid()}.journal"),
    os.O_CREAT | os.O_WRONLY | os.O_APPEND,
)


@mendable
def append_journal() -> None:
    for _ in range(12):
        os.write(JOURNAL, b"x" * 65536)
        os.fsync(JOURNAL)
    os.ftruncate(JOURNAL, 0)


def app(environ, start_response):
    append_journal()
    page = render_page(20_000)
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]
