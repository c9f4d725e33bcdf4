"""Greenlets of gevent, each at rest in a known place, with `kept` beside many that do not wait; or,
with `busy`, a hub that runs one of them nearly always while others sleep for moments.
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
RAW = gevent.Greenlet.__mro__[-2]  # greenlet.greenlet


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


class Derived(gevent.Greenlet):
    """The first of a long line."""


def kept_by_somebody():
    """Greenlets that nobody waits for: ended ones, some by an error, and others that never began;
    one that runs within another. All are met before those that wait.
    """
    for _ in range(100):
        kept.append(gevent.spawn(len, ()))
        kept.append(gevent.spawn(int, "no number"))
        kept.append(gevent.Greenlet(naps))
    gevent.joinall([each for each in kept if each.started or each.dead])
    within = RAW(lambda: gevent.getcurrent().parent.switch())
    within.switch()
    kept.append(within)


def line(length):
    """A class so far from the first, of which one waits."""
    kind = Derived
    for _ in range(length):
        kind = type("Derived", (kind,), {})
    return kind.spawn(wants_event)


kept = []
if "kept" in sys.argv:
    kept_by_somebody()
    kept.append(line(8))
greenlets = [gevent.spawn(work) for work in (BUSY if "busy" in sys.argv else AT_REST)]
gevent.sleep(0.1)
print("ready" + json.dumps({}), flush=True)
gevent.sleep(EVER)
