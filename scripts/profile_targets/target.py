"""Work of known shares on one thread, and waits of four kinds on others: `target.py WAITERS`.

Each line on standard input is answered with what the worker did since the last one.
"""

import json
import socket
import sys
import threading
import time

HELD = 0.02  # seconds that the lock, or a place of the pool, is held
SLEPT = 0.05
LOCK, POOL = threading.Lock(), threading.Semaphore(2)


def spin(rounds):
    x = 0
    for i in range(rounds):
        x += i * i
    return x


def sixty():
    return spin(18_000)


def thirty():
    return spin(9_000)


def ten():
    return spin(3_000)


class Worker:
    def __init__(self):
        self.turn = threading.Lock()
        self.fresh()

    def fresh(self):
        self.units, self.spent, self.began = [], [0.0, 0.0, 0.0], time.perf_counter()

    def work(self):
        while True:
            began = at = time.perf_counter()
            for n, step in enumerate((sixty, thirty, ten)):
                step()
                now = time.perf_counter()
                self.spent[n] += now - at
                at = now
            with self.turn:
                self.units.append(at - began)

    def told(self):
        with self.turn:
            units, spent, began = sorted(self.units), self.spent, self.began
            self.fresh()
        whole = sum(spent) or 1.0
        return {
            "units": len(units),
            "seconds": time.perf_counter() - began,
            "p99_ms": units[int(len(units) * 0.99)] * 1e3 if units else 0.0,
            "shares": [s / whole for s in spent],
        }


def hold_lock():
    time.sleep(HELD)


def lock_user():
    while True:
        with LOCK:
            hold_lock()


def hold_pool():
    time.sleep(HELD)


def pool_user():
    while True:
        POOL.acquire()
        hold_pool()
        POOL.release()


def sleeper():
    while True:
        time.sleep(SLEPT)


def reader():
    ours, theirs = socket.socketpair()  # the other end is kept open, and says nothing
    ours.recv(1)
    theirs.close()


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    for n in range(int(sys.argv[1])):
        kind = (sleeper, lock_user, reader, pool_user)[n % 4]
        threading.Thread(target=kind, daemon=True).start()
    worker = Worker()
    threading.Thread(target=worker.work, daemon=True).start()
    print("ready", json.dumps({"port": listener.getsockname()[1]}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(worker.told()), flush=True)


main()
