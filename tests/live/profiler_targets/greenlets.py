"""Greenlets of gevent, each at rest in a known place; or, with `busy`, a hub that runs one of them
nearly always while others sleep for moments.
"""

import gevent.monkey

gevent.monkey.patch_all()

import json  # noqa: E402
import queue  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

import gevent  # noqa: E402
import gevent.event  # noqa: E402
import gevent.lock  # noqa: E402

LOCK, PERMITS = threading.Lock(), threading.Semaphore(0)
NATIVE, EVENT, ITEMS = gevent.lock.Semaphore(0), gevent.event.Event(), queue.Queue()
ONE, OTHER = socket.socketpair()
EVER = 1000.0


def holds_lock():
    with LOCK:
        time.sleep(EVER)


def wants_lock():
    with LOCK:
        pass


def wants_permit():
    PERMITS.acquire()


def wants_native_permit():
    NATIVE.acquire()


def wants_event():
    EVENT.wait()


def wants_item():
    ITEMS.get()


def receives():
    ONE.recv(10)


def naps():
    while True:
        time.sleep(0.002)


def computes():
    while True:
        end = time.monotonic() + 0.05
        while time.monotonic() < end:
            pass
        time.sleep(0)


AT_REST = (
    holds_lock,
    wants_lock,
    wants_lock,
    wants_permit,
    wants_native_permit,
    wants_event,
    wants_item,
    receives,
)
BUSY = (computes, naps, naps, receives)

greenlets = [gevent.spawn(work) for work in (BUSY if "busy" in sys.argv else AT_REST)]
gevent.sleep(0.1)
print("ready" + json.dumps({}), flush=True)
gevent.sleep(EVER)
