"""The load client against a server that answers each request with a mutation of an answer: dripped,
endless, cut short, with wrong lengths, or no HTTP at all.
"""

from __future__ import annotations

import os
import random
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.question import Question, Ramp, RequestTemplate, Target
from perfhunt.model.slo import Slo
from perfhunt.model.traffic.parts import Expect
from perfhunt.model.trial import Phase, Step
from tests.property.hostile.mutations import mutated

RATE, SECONDS = 200.0, 15.0
TIMEOUT = 1.0  # seconds of a request
MEMORY = 300  # MiB that the load child may grow by: answers are counted, never kept
LINGER = 3.0  # seconds that a connection is dripped to, or held open
ENDLESS = 2_000_000  # bytes of an answer without an end, at a time
SEEDS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
    b"HTTP/1.1 301 Moved\r\nLocation: http://other/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n\x00\x01\x02",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
)


class HostileServer:
    """Listens on loopback; each connection is answered by a thread."""

    def __init__(self, seed: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._answers = self._all_answers(seed)
        self._lock = threading.Lock()
        self.answered = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _all_answers(self, seed: int) -> Iterator[tuple[str, bytes]]:
        chance = random.Random(seed)
        for raw in mutated(SEEDS, 10**9, seed):
            yield chance.choice(("whole", "whole", "drip", "endless", "cut", "reset")), raw

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with link:
            try:
                link.settimeout(LINGER)
                while link.recv(65536):
                    with self._lock:
                        how, raw = next(self._answers)
                        self.answered += 1
                    if not _answer(link, how, raw):
                        return
            except OSError:
                return

    def close(self) -> None:
        self._listener.close()


def _answer(link: socket.socket, how: str, raw: bytes) -> bool:
    """Whether the connection stays open."""
    if how == "drip":
        end = time.monotonic() + LINGER
        for i in range(len(raw)):
            link.sendall(raw[i : i + 1])
            if time.monotonic() > end:
                break
            time.sleep(0.01)
    elif how == "endless":
        link.sendall(raw.rstrip() + b"\r\nX: " + b"y" * ENDLESS)
    elif how == "reset":
        link.sendall(raw[: len(raw) // 2])
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return False
    else:
        link.sendall(raw)
    return how == "whole"


def against_hostile_server(seconds: float = SECONDS, seed: int = 1) -> dict[str, Any]:
    """What became of the requests: all of them ended in one way or another, in time, and the load
    process neither crashed nor grew.
    """
    server = HostileServer(seed)
    endpoints = (
        RequestTemplate("plain", "GET", "/"),
        RequestTemplate("text", "GET", "/t", expect=Expect((), "ok")),
        RequestTemplate("head", "HEAD", "/h"),
    )
    question = Question(
        Target(f"http://127.0.0.1:{server.port}"), endpoints, Slo(()), Ramp(timeout=TIMEOUT)
    )
    engine = LocustEngine(run="fuzz")
    with tempfile.TemporaryDirectory() as place:
        try:
            engine.open(question, (), Path(place))
            child = _children()
            before = max(map(_memory, child), default=0)
            began = time.monotonic()
            trial = engine.run(Step(Phase.FIXED, RATE, seconds, seed, stop_on_overload=False))
            took = time.monotonic() - began
            grown = max(map(_memory, child), default=0) - before
            ended = sum(trial.outcomes.values())
            alive = bool(child) and _children() == child
        finally:
            engine.close()
            server.close()
    clean = alive and not trial.invalid.startswith("stopped") and grown < MEMORY
    return {
        "requests": ended,
        "answers": server.answered,
        "outcomes": dict(trial.outcomes),
        "grew_mib": grown,
        "seconds": round(took, 1),
        "clean": bool(clean and ended > 0 and took < seconds + 10 * TIMEOUT),
    }


def _children() -> list[int]:
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return sorted(map(int, text.split()))


def _memory(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) >> 10
    return 0
