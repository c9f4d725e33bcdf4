"""The target's own port is answered by another process, while the target itself lives on."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from perfhunt.model.question import ProcessSelector
from perfhunt.target.find import find_target
from perfhunt.target.resources.monitor import ResourceMonitor
from tests.live.running import question, start, until, wait_for

pytestmark = [pytest.mark.live, pytest.mark.beside]

# `close` lets go of the port, `again` binds it once more, `child` has a child of its own bind it.
SERVER = """
import os, socket, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import threading
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *words): pass
class Server(ThreadingHTTPServer):
    allow_reuse_address = allow_reuse_port = True
def listen():
    server = Server((sys.argv[1], int(sys.argv[2])), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
server = listen()
print(server.server_address[1], flush=True)
sys.argv[2] = str(server.server_address[1])
for word in sys.stdin:
    if word.strip() in ("close", "child"):
        server.shutdown(); server.server_close()
    if word.strip() == "again":
        server = listen()
    if word.strip() == "child" and os.fork() == 0:
        listen(); threading.Event().wait(60); os._exit(0)
    print("done", flush=True)
"""


@contextlib.contextmanager
def serving(host: str = "127.0.0.1", port: int = 0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server, and its port."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, host, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.communicate()


def tell(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{word}\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"


@contextlib.contextmanager
def monitored(pid: int) -> Iterator[ResourceMonitor]:
    monitor = ResourceMonitor(find_target(ProcessSelector(pid=pid)))
    monitor.start()
    try:
        yield monitor
    finally:
        monitor.close()


def looked_again(monitor: ResourceMonitor, times: int = 3) -> None:
    """The monitor has looked at the sockets so many times since."""
    for _ in range(times):
        at = monitor._sockets_at
        assert until(lambda at=at: monitor._sockets_at != at, 10)  # type: ignore[misc]


def test_another_process_on_the_target_s_port_is_named() -> None:
    with serving() as (target, port), monitored(target.pid) as monitor:
        tell(target, "close")
        with serving(port=port) as (other, _):
            assert until(lambda: monitor.dead() != "", 10)
            assert f"pid {other.pid}) answers in its place" in monitor.dead()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_another_process_that_shares_the_port_takes_a_part_of_the_load(host: str) -> None:
    with (
        serving(host) as (target, port),
        monitored(target.pid) as monitor,
        serving(port=port) as (other, _),  # to loopback the closer address has it all
    ):
        assert until(lambda: monitor.dead() != "", 10)
        assert f"pid {other.pid}) takes connections beside it" in monitor.dead()


@pytest.mark.parametrize("word", ["again", "child"])
def test_a_target_that_binds_its_port_again_is_still_the_target(word: str) -> None:
    with serving() as (target, _), monitored(target.pid) as monitor:
        looked_again(monitor, 1)
        tell(target, "close" if word == "again" else word)
        if word == "again":
            tell(target, word)
        looked_again(monitor)
        assert monitor.dead() == ""


def test_who_shared_the_port_from_the_start_or_listens_elsewhere_is_no_stranger() -> None:
    with (
        serving() as (target, port),
        serving(port=port),
        monitored(target.pid) as monitor,
        serving("127.0.0.2", port),
        socket.create_server(("::1", port), family=socket.AF_INET6),
    ):
        looked_again(monitor)
        assert monitor.dead() == ""


def test_a_run_whose_port_is_taken_over_ends_as_one_whose_target_died(tmp_path: Path) -> None:
    with serving() as (target, port):
        question(tmp_path, port, ramp='start = "20/s"\nmax = "40/s"')
        words = ("investigate", "--pid", str(target.pid), "--quick", "--profile", "off")
        running = start(tmp_path, *words, "--allow-busy")
        wait_for(running, lambda event: event["event"] == "ticked")
        tell(target, "close")
        with serving(port=port) as (other, _):
            _, said = running.communicate(timeout=60)
        assert running.returncode == 96, said
        assert "was taken over" in said
        assert f"pid {other.pid}" in said
        (kept,) = tmp_path.glob(".perfhunt/runs/*/run.json")
        assert json.loads(kept.read_text())["exit_code"] == 96
