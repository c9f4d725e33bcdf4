"""The killswitch url and the lock, against a real server and a real holder that dies."""

from __future__ import annotations

import contextlib
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from perfhunt.errors import TargetBusy
from perfhunt.model.question import Killswitch
from perfhunt.safety.killswitch import KillswitchWatch
from perfhunt.safety.lock import LockHolder, target_lock
from perfhunt.target.proc.process import stat
from perfhunt.target.proc.threads import tids
from tests.live.running import until

pytestmark = [pytest.mark.live, pytest.mark.beside]

ME = LockHolder.ourselves("r", "u", "s")
HOLDER = """
import sys
from perfhunt.safety.lock import LockHolder, target_lock
with target_lock(["127.0.0.1"], 8000, LockHolder.ourselves("other", "u", "s"), sys.argv[1]):
    print("ready", flush=True)
    sys.stdin.read()
"""


class Says(http.server.BaseHTTPRequestHandler):
    """Answers with the statuses of its server's list, the last one for ever."""

    statuses: list[int]

    def do_GET(self) -> None:
        left = type(self).statuses
        self.send_response(left.pop(0) if len(left) > 1 else left[0])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def says() -> Iterator[Callable[[list[int]], str]]:
    servers: list[http.server.ThreadingHTTPServer] = []

    def serve(statuses: list[int]) -> str:
        handler = type("Handler", (Says,), {"statuses": statuses})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/ok"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def seconds_until_tripped(watch: KillswitchWatch, limit: float) -> float:
    started = time.monotonic()
    while not watch.tripped() and time.monotonic() - started < limit:
        time.sleep(0.02)
    return time.monotonic() - started


def test_a_url_that_stops_saying_200_stops_load_within_a_second(
    says: Callable[[list[int]], str], tmp_path: Path
) -> None:
    statuses = [200]
    with KillswitchWatch(Killswitch("", says(statuses)), tmp_path) as watch:
        assert watch.test() == ""
        assert seconds_until_tripped(watch, 1.0) >= 1.0  # all is well, so it does not trip
        statuses[0] = 503
        assert seconds_until_tripped(watch, 3.0) < 1.0
        assert "answered 503" in watch.tripped()


@pytest.fixture
def drips() -> Iterator[tuple[str, threading.Event]]:
    """A url that answers at once until the event is set; from then on a byte in half a second."""
    dry, server = threading.Event(), socket.create_server(("127.0.0.1", 0))

    def drip(link: socket.socket) -> None:
        with link, contextlib.suppress(OSError):
            link.recv(4096)
            if not dry.is_set():
                link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                return
            for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
                link.sendall(bytes([byte]))
                time.sleep(0.5)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/ok", dry
    server.close()


def test_a_url_that_drips_stops_load_within_three_seconds(
    drips: tuple[str, threading.Event], tmp_path: Path
) -> None:
    url, dry = drips
    with KillswitchWatch(Killswitch("", url), tmp_path) as watch:
        assert seconds_until_tripped(watch, 1.5) >= 1.5
        dry.set()
        assert seconds_until_tripped(watch, 6.0) < 3.0
        assert "no answer" in watch.tripped()
        began = time.monotonic()
    assert time.monotonic() - began < 1.0  # what hangs is not waited for


def test_a_url_that_drips_or_hangs_fails_its_test(
    drips: tuple[str, threading.Event], tmp_path: Path
) -> None:
    url, dry = drips
    dry.set()
    began = time.monotonic()
    assert "hangs" in KillswitchWatch(Killswitch("", url), tmp_path).test()
    assert time.monotonic() - began < 3.5


def test_a_url_whose_name_stops_resolving_stops_load_within_three_seconds(
    says: Callable[[list[int]], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver that says nothing: the system's waits for it much longer."""
    resolve, lost, over = socket.getaddrinfo, threading.Event(), threading.Event()

    def getaddrinfo(*words: Any, **more: Any) -> Any:
        if lost.is_set():
            over.wait(20.0)
        return resolve(*words, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with KillswitchWatch(Killswitch("", says([200])), tmp_path) as watch:
        assert seconds_until_tripped(watch, 1.0) >= 1.0
        lost.set()
        assert seconds_until_tripped(watch, 6.0) < 3.0
    over.set()


def test_a_watch_that_was_suspended_does_not_take_its_own_silence_for_that_of_the_url(
    says: Callable[[list[int]], str], tmp_path: Path
) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from perfhunt.model.question import Killswitch\n"
        "from perfhunt.safety.killswitch import KillswitchWatch\n"
        "with KillswitchWatch(Killswitch('', sys.argv[1]), Path('.')) as watch:\n"
        "    while True:\n"
        "        print(watch.tripped() or 'well', flush=True)\n"
        "        time.sleep(0.05)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, says([200])], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "well\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(4.0)  # the time that is asked about
        process.send_signal(signal.SIGCONT)
        began = time.monotonic()
        while time.monotonic() - began < 2.0:
            assert process.stdout.readline() == "well\n"
        process.kill()


def test_one_miss_alone_does_not_stop_load(
    says: Callable[[list[int]], str], tmp_path: Path
) -> None:
    with KillswitchWatch(Killswitch("", says([200, 500, 200])), tmp_path) as watch:
        assert seconds_until_tripped(watch, 2.0) >= 2.0


def test_a_redirect_is_not_200(says: Callable[[list[int]], str], tmp_path: Path) -> None:
    assert "answered 302" in KillswitchWatch(Killswitch("", says([302])), tmp_path).test()


@contextmanager
def holder(scope: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds port 8000 until the block ends, or until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, scope],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def all_stopped(pid: int) -> bool:
    """Whether every thread of a process has obeyed SIGSTOP: each does when it next leaves the
    kernel, the one that answers askers as well.
    """
    threads = [stat(pid, tid) for tid in tids(pid)]
    return all(thread is not None and thread.state == "T" for thread in threads)


@pytest.fixture
def scope(tmp_path: Path) -> str:
    return f"perfhunt-test-{os.getpid()}-{tmp_path.name[-20:]}"


def test_the_lock_of_a_holder_that_was_killed_is_free_at_once(scope: str) -> None:
    with holder(scope) as process:
        taken = pytest.raises(TargetBusy, match=f"pid {process.pid},")
        with taken, target_lock(["::1"], 8000, ME, scope):
            pass
        process.kill()
        process.wait()
        with target_lock(["127.0.0.1"], 8000, ME, scope):
            pass


def test_a_holder_that_is_stopped_is_named_all_the_same(scope: str) -> None:
    with holder(scope) as process:
        process.send_signal(signal.SIGSTOP)
        assert until(lambda: all_stopped(process.pid), 5.0)
        began = time.monotonic()
        taken = pytest.raises(TargetBusy, match=f"pid {process.pid} holds")
        with taken, target_lock(["::1"], 8000, ME, scope):
            pass
        assert time.monotonic() - began < 3.0
