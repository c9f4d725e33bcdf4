"""No connection leaves what load was cleared for, by whatever means it is made: tried in a process
of its own, since an audit hook stays as long as its process.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# What each way of connecting comes to: the name of the exception, or "connected".
TRY = """
import json, sys
import gevent.monkey
if sys.argv[1] == "patched":
    gevent.monkey.patch_all()
import socket, errno, http.client, urllib.request
import requests, urllib3, gevent.socket
from geventhttpclient import HTTPClient
from perfhunt.load.child.bounds.outbound import NotCleared, Outbound

here, there, path = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
allowed = [f"unix:{path}"] if len(sys.argv) > 5 else []
raw = gevent.monkey.get_original("socket", "socket")

def connect(kind, family, where):
    def attempt():
        with kind(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(2)
            sock.connect(where)
    return attempt

def connect_ex(where):
    with raw() as sock:
        code = sock.connect_ex(where)
        if code:
            raise OSError(code, errno.errorcode[code])

def datagram(send):
    with raw(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        send(sock)

V4, V6, UNIX = socket.AF_INET, socket.AF_INET6, socket.AF_UNIX
ways = {
    "target": connect(socket.socket, V4, ("127.0.0.1", here)),
    "target, again": connect(socket.socket, V4, ("127.0.0.1", here)),
    "target, without gevent": connect(raw, V4, ("127.0.0.1", here)),
    "target, mapped": connect(raw, V6, ("::ffff:127.0.0.1", here)),
    "target, as bytes that may change": connect(raw, V4, (bytearray(b"127.0.0.1"), here)),
    "target by name": lambda: socket.create_connection(("localhost", here), 2).close(),
    "target by requests": lambda: requests.get(f"http://127.0.0.1:{here}/", timeout=2),
    "another port": connect(socket.socket, V4, ("127.0.0.1", there)),
    "another port, mapped": connect(raw, V6, ("::ffff:127.0.0.1", there)),
    "another address": connect(socket.socket, V4, ("127.0.0.2", here)),
    "another address, without gevent": connect(raw, V4, ("127.0.0.2", here)),
    "another address, mapped": connect(raw, V6, ("::ffff:127.0.0.2", here)),
    "another family": connect(raw, V6, ("::1", here)),
    "another address, as bytes that may change": connect(
        raw, V4, (bytearray(b"127.0.0.2"), here)
    ),
    "connect_ex": lambda: connect_ex(("127.0.0.2", here)),
    "every address": connect(raw, V4, ("0.0.0.0", here)),
    "no address": connect(raw, V4, ("", here)),
    "a shortened address": connect(raw, V4, ("127.2", here)),
    "a name at the socket": connect(raw, V4, ("localhost", there)),
    "another name": lambda: socket.getaddrinfo("elsewhere.invalid", 80),
    "another name as bytes": lambda: socket.getaddrinfo(b"elsewhere.invalid", 80),
    "another name by gevent": lambda: gevent.socket.getaddrinfo("elsewhere.invalid", 80),
    "another name, the old way": lambda: socket.gethostbyname("elsewhere.invalid"),
    "requests": lambda: requests.get(f"http://127.0.0.2:{here}/", timeout=2),
    "urllib3": lambda: urllib3.PoolManager(retries=False, timeout=2).request(
        "GET", f"http://127.0.0.2:{here}/"
    ),
    "urllib": lambda: urllib.request.urlopen(f"http://127.0.0.2:{here}/", timeout=2),
    "http.client": lambda: http.client.HTTPConnection("127.0.0.2", here, 2).request("GET", "/"),
    "geventhttpclient": lambda: HTTPClient("127.0.0.2", here, connection_timeout=2).get("/"),
    "a redirect": lambda: requests.get(f"http://127.0.0.1:{here}/away", timeout=2),
    "sendto": lambda: datagram(lambda sock: sock.sendto(b"x", ("127.0.0.2", here))),
    "sendmsg": lambda: datagram(lambda sock: sock.sendmsg([b"x"], [], 0, ("127.0.0.2", here))),
    "unix": connect(raw, UNIX, path),
    "unix as bytes": connect(raw, UNIX, path.encode()),
}
outbound = Outbound("localhost", here, ["127.0.0.1"], allowed)
outbound.install()

def was_refused(error):
    while error is not None:
        if isinstance(error, NotCleared):
            return True
        reason = getattr(error, "reason", None)
        error = error.__cause__ or error.__context__ or (
            reason if isinstance(reason, BaseException) else None
        )
    return False

came = {}
for name, way in ways.items():
    try:
        way()
        came[name] = "connected"
    except Exception as error:
        came[name] = "refused" if was_refused(error) else repr(error)
json.dump({"came": came, "refused": outbound.take_refused()}, sys.stdout)
"""


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[tuple[int, int, list[str]]]:
    """The target's port, another service's on every address, and who came to the latter."""
    came: list[str] = []
    target, other = socket.create_server(("127.0.0.1", 0)), socket.socket()
    port = target.getsockname()[1]
    other.bind(("127.0.0.2", port))  # the same port of another address
    other.listen()
    third = socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "db.sock"))
    unix.listen()
    away = f"HTTP/1.1 302 F\r\nLocation: http://127.0.0.2:{port}/\r\n"

    def answer() -> None:
        while True:
            try:
                link, _ = target.accept()
            except OSError:
                return
            with link:
                asked = link.recv(4096)
                head = away if b"/away" in asked else "HTTP/1.1 200 OK\r\n"
                if asked:
                    link.sendall(f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())

    def count(sock: socket.socket, name: str) -> None:
        while True:
            try:
                link, _ = sock.accept()
            except OSError:
                return
            came.append(name)
            link.close()

    threads = [threading.Thread(target=answer, daemon=True)]
    for sock, name in ((other, "other address"), (third, "other port"), (unix, "unix")):
        threads.append(threading.Thread(target=count, args=(sock, name), daemon=True))
    for thread in threads:
        thread.start()
    yield port, third.getsockname()[1], came
    for sock in (target, other, third, unix):
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()
    for thread in threads:
        thread.join()


def tried(patched: str, here: int, there: int, path: Path, *more: str) -> dict[str, dict[str, Any]]:
    words = [sys.executable, "-c", TRY, patched, str(here), str(there), str(path), *more]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("patched", ["patched", "as it is"])
def test_every_way_but_to_the_target_is_refused_and_counted_by_place(
    patched: str, ports: tuple[int, int, list[str]], tmp_path: Path
) -> None:
    here, there, came = ports
    told = tried(patched, here, there, tmp_path / "db.sock")
    expected = {
        name: "connected" if name.startswith("target") else "refused" for name in told["came"]
    }
    assert told["came"] == expected
    assert came == []
    refused = told["refused"]
    assert refused[f"127.0.0.2:{here}"] >= 8
    assert refused[f"unix:{tmp_path / 'db.sock'}"] == 2
    assert refused["elsewhere.invalid:80"] == 3


def test_what_is_named_besides_the_target_may_be_connected_to(
    ports: tuple[int, int, list[str]], tmp_path: Path
) -> None:
    here, there, came = ports
    told = tried("patched", here, there, tmp_path / "db.sock", "unix")
    assert told["came"]["unix"] == told["came"]["unix as bytes"] == "connected"
    assert told["came"]["requests"] == "refused"
    assert set(came) == {"unix"}
