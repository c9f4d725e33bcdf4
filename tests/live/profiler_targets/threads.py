"""A process whose threads each do one known thing: `threads.py ROLE...`. Prints `ready {"ROLE":
[tid, ...], "port": N}`.

On a line on its standard input it answers with the CPU seconds it has used, by its own account.
"""

import json
import os
import queue
import resource
import select
import socket
import subprocess
import sys
import threading
import time

FAR = 1000.0
LISTENER = socket.socket()
LISTENER.bind(("127.0.0.1", 0))
LISTENER.listen(7)
SERVED = socket.socket()
SERVED.bind(("127.0.0.1", 0))
SERVED.listen(7)
TAKEN = threading.Lock()
TAKEN.acquire()
KEPT = []


def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(200))


def spin():
    while True:
        sum(range(1000))


def lock():
    TAKEN.acquire()


def timed_lock():
    TAKEN.acquire(timeout=FAR)


def event():
    threading.Event().wait()


def timed_event():
    threading.Event().wait(FAR)


def queue_get():
    queue.Queue().get()


def receive():
    connection = socket.create_connection(LISTENER.getsockname())
    connection.recv(1)


def receive_with_timeout():
    connection = socket.create_connection(LISTENER.getsockname())
    connection.settimeout(FAR)
    connection.recv(1)


def select_one():
    connection = socket.create_connection(LISTENER.getsockname())
    select.select([connection], [], [])


def epoll_one():
    """A client library that waits for its one connection as selectors does."""
    connection = socket.create_connection(LISTENER.getsockname())
    poller = select.epoll()
    poller.register(connection, select.EPOLLIN)
    poller.poll()


def epoll_woken():
    """An event loop with nothing to do but to be woken."""
    KEPT.extend(socket.socketpair())
    poller = select.epoll()
    poller.register(KEPT[-1], select.EPOLLIN)
    poller.poll()


def epoll_many():
    """An event loop that is connected to a dependency, and can be woken."""
    KEPT.extend(socket.socketpair())
    connection = socket.create_connection(LISTENER.getsockname())
    poller = select.epoll()
    poller.register(KEPT[-1], select.EPOLLIN)
    poller.register(connection, select.EPOLLIN)
    poller.poll()


def unix():
    path = f"/tmp/perfhunt-test-{os.getpid()}.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    KEPT.append(listener)
    connection.recv(1)


def keep_alive():
    """A server's thread that waits for its client's next request."""
    KEPT.append(socket.create_connection(SERVED.getsockname()))
    connection, _ = SERVED.accept()
    connection.recv(1)


def accept():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    listener.accept()


def sleep():
    time.sleep(FAR)


def epoll():
    poller = select.epoll()
    poller.register(LISTENER.fileno(), 0)
    poller.poll()


def fsync():
    with open(f"/tmp/perfhunt-test-{os.getpid()}.bin", "wb") as file:
        os.unlink(file.name)
        while True:
            file.seek(0)
            file.write(b"x" * (1 << 20))
            file.flush()
            os.fsync(file.fileno())


def brief():
    """A thread per request, as socketserver.ThreadingMixIn does: each burns 5 ms and ends."""
    while True:
        thread = threading.Thread(target=burn, args=(0.005,))
        thread.start()
        thread.join()


def child():
    """Children that burn CPU, end and are waited for."""
    while True:
        subprocess.run([sys.executable, "-S", "-c", "sum(range(1000000))"])


def grow():
    """20 MB more every second."""
    while True:
        KEPT.append(bytearray(os.urandom(1)) * 1_000_000)
        time.sleep(0.05)


def idle():
    time.sleep(FAR)


def start(role, tids):
    def run():
        tids.setdefault(role, []).append(threading.get_native_id())
        globals()[role]()

    threading.Thread(target=run, name=role, daemon=True).start()


def main():
    tids = {}
    for role in sys.argv[1:]:
        start(role, tids)
    while sum(map(len, tids.values())) < len(sys.argv) - 1:
        time.sleep(0.01)
    time.sleep(0.1)  # for each to reach the call it waits in
    print(
        "ready",
        json.dumps(
            {"tids": tids, "port": LISTENER.getsockname()[1], "served": SERVED.getsockname()[1]}
        ),
        flush=True,
    )
    for _ in sys.stdin:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        print(json.dumps(sum(one.ru_utime + one.ru_stime for one in used)), flush=True)


main()
