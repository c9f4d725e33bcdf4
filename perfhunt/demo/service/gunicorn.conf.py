"""How the shop is served: one process, sixteen threads, and the warehouse beside it for as long as
the shop lives.
"""

import atexit
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

bind = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
workers = 1
worker_class = "gthread"
threads = 16
keepalive = 75
accesslog = None
loglevel = "warning"

# A socket of its own for each start, so that two shops can run side by side.
_directory = tempfile.mkdtemp(prefix="shop-")
_socket = os.path.join(_directory, "warehouse.sock")
os.environ["SHOP_WAREHOUSE"] = _socket


def on_starting(server):
    from shop import store

    store.create()
    here = os.path.dirname(os.path.abspath(__file__))
    warehouse = subprocess.Popen(
        [sys.executable, "-m", "shop.warehouse_service", _socket], cwd=here
    )
    deadline = time.monotonic() + 10
    while not os.path.exists(_socket):
        if warehouse.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("the warehouse did not open")
        time.sleep(0.02)
    master = os.getpid()

    def close():
        if os.getpid() == master:  # workers inherit this handler; only the master may act on it
            warehouse.terminate()
            warehouse.wait()
            subprocess.run(["rm", "-rf", _directory], check=False)

    atexit.register(close)
