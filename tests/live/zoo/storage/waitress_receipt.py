"""Every request is written through to the disk, on threads. Culprit: save_receipt. Decoy:
render_page.
"""

import os
import tempfile
import threading

from flask import Flask
from serving import under_waitress
from work import mendable, render_page

app = Flask(__name__)
FILE = os.open(
    os.path.join(tempfile.gettempdir(), f"zoo-{os.getpid()}.receipts"),
    os.O_CREAT | os.O_WRONLY | os.O_APPEND,
)
LOCK = threading.Lock()


@mendable
def save_receipt() -> None:
    with LOCK:
        for _ in range(8):
            os.write(FILE, b"x" * 65536)
            os.fsync(FILE)
        os.ftruncate(FILE, 0)


@app.get("/")
def receipt():
    save_receipt()
    return render_page(10_000)


under_waitress(app, 8)
