"""A master with two workers that spin; a worker that dies is replaced. Prints `ready {"workers":
[pid, pid]}`.
"""

import json
import os
import signal


def serve_worker():
    while True:
        sum(range(1000))


def start():
    pid = os.fork()
    if pid == 0:
        serve_worker()
    return pid


def main():
    workers = [start(), start()]
    signal.signal(
        signal.SIGTERM, lambda *_: [os.kill(pid, signal.SIGKILL) for pid in workers] and os._exit(0)
    )
    print("ready", json.dumps({"workers": workers}), flush=True)
    while True:
        gone, _ = os.wait()
        workers[workers.index(gone)] = start()


main()
