"""What a Go service serves of itself by net/http/pprof on one of its ports."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import closing, suppress

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import read_all
from perfhunt.model.units import Bytes, Seconds
from perfhunt.target.proc.namespaces import Namespace, lives_apart
from perfhunt.target.proc.sockets import held_listening

INDEX = "/debug/pprof/"
_ANSWER: Seconds = 3.0  # of a port that serves it; one that does not speak HTTP may keep silent
_LARGEST: Bytes = 16 << 20  # of an answer, which is zipped: a profile of a minute is under 1 MiB
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def pprof_address(pid: int) -> tuple[str, int] | None:
    """Where a process serves net/http/pprof, by asking each port it listens on; None when none of
    them answers.
    """
    if lives_apart(pid, Namespace.NETWORK):  # Its addresses are others' here.
        return None
    for listener in held_listening(pid):
        host = _LOOPBACK.get(listener.local, listener.local)
        try:
            status, body = get(host, listener.local_port, INDEX, _ANSWER)
        except (OSError, http.client.HTTPException, Unreadable):
            continue
        if status == 200 and b"goroutine" in body and b"profile" in body:
            return host, listener.local_port
    return None


def get(host: str, port: int, path: str, within: Seconds) -> tuple[int, bytes]:
    """(status, body). Raises OSError when all of it has not come within so many seconds, however
    slowly it drips, HTTPException for what is no HTTP, Unreadable for a larger answer.
    """
    with closing(http.client.HTTPConnection(host, port, timeout=within)) as connection:
        connection.connect()
        # The time of a socket is one of each read: a drip would never meet it.
        cut = threading.Timer(within, _cut, (connection.sock,))
        cut.daemon = True
        cut.start()
        try:
            connection.request("GET", path, headers={"User-Agent": "perfhunt"})
            answer = connection.getresponse()
            where = f"the answer of http://{host}:{port}{path}"
            body = read_all(answer.read, _LARGEST, where)
            if answer.length or not cut.is_alive():
                raise OSError(f"{where} was not whole within {within:.0f} s")
            return answer.status, body
        finally:
            cut.cancel()


def _cut(link: socket.socket) -> None:
    """End a conversation from another thread: who reads there is woken."""
    with suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)
