"""What is said to a JVM's socket: a stand-in of this very process listens in the JVM's place."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from perfhunt.errors import AttachFailed
from perfhunt.profilers.jvm.attach import AttachSocket
from perfhunt.profilers.jvm.profiler import JvmProfiler


def of_jdk_17(asked: bytes) -> bytes:
    return b"101\nunknown\n" if b"getversion" in asked else b"0\na dump"


def of_jdk_25(asked: bytes) -> bytes:
    return b"0\n2 streaming\n" if b"getversion" in asked else b"0\na dump"


@contextmanager
def listening(answer: Callable[[bytes], bytes]) -> Iterator[list[bytes]]:
    """What a JVM of that kind is asked, this process being it."""
    heard: list[bytes] = []
    path = Path(f"/tmp/.java_pid{os.getpid()}")
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            while True:
                link, _ = server.accept()
                with link:
                    if asked := link.recv(4096):
                        heard.append(asked)
                        if b"quit" in asked:
                            return
                        link.sendall(answer(asked))

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        try:
            yield heard
        finally:
            with socket.socket(socket.AF_UNIX) as last:
                last.connect(str(path))
                last.sendall(b"quit")
            serving.join()
            path.unlink()


def test_a_jvm_that_can_is_asked_to_make_its_answer_before_it_is_written() -> None:
    """JDK 25 writes a dump into the socket while all threads stand still. The frame of its
    protocol 2 is a version, a length, and the command with its options and arguments.
    """
    with listening(of_jdk_25) as heard:
        assert AttachSocket(os.getpid()).ask("threaddump", "-l") == "a dump"
    body = b"threaddump streaming=0\0-l\0"
    assert heard[-2:-1] == [b"2\0%d\0%s" % (len(body), body)]


def test_an_older_jvm_is_asked_in_the_protocol_that_it_has() -> None:
    with listening(of_jdk_17) as heard:
        assert AttachSocket(os.getpid()).ask("threaddump", "-l") == "a dump"
    assert heard[-2:-1] == [b"1\0threaddump\0-l\0\0\0"]


def test_a_jvm_that_answers_nothing_gives_its_answers_to_its_owner() -> None:
    with (
        listening(lambda asked: b"") as heard,
        pytest.raises(AttachFailed, match="gives its answers to its owner"),
    ):
        AttachSocket(os.getpid()).ask("threaddump")
    assert len(heard) > 1


@pytest.mark.parametrize(
    ("threads", "seconds", "rate"),
    [(16, 25, 34), (200, 25, 13), (200, 10, 25), (200, 2, 50), (2000, 600, 2)],
)
def test_the_recorder_stops_a_thread_for_a_hundredth_of_its_time_or_for_enough_samples(
    threads: int, seconds: float, rate: int
) -> None:
    """250 of them, whose sampling error is 6 points of a share of a half."""
    assert JvmProfiler().rate_for(99, 1, threads, seconds) == rate
