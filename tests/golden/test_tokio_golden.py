"""What console-subscriber 0.5 streamed of a service with six users who ask again at once: one holds
what takes 8 ms, so five wait for it; or each blocks a worker for 8 ms.
"""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from perfhunt.errors import Unreadable
from perfhunt.profilers.tokio.stream import messages
from perfhunt.profilers.tokio.updates import ConsoleUpdates, gathered

RECORDED = Path(__file__).parent / "profilers"
METHOD = "/rs.tokio.console.instrument.Instrument/WatchUpdates"


def recorded(planted: str) -> bytes:
    """The body of the stream: messages, each behind a flag and its length."""
    return gzip.decompress((RECORDED / f"tokio-console-{planted}.bin.gz").read_bytes())


def split(body: bytes) -> Iterator[bytes]:
    while body:
        size = int.from_bytes(body[1:5], "big")
        yield body[5 : 5 + size]
        body = body[5 + size :]


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


@contextmanager
def serving(answer: bytes) -> Iterator[tuple[tuple[str, int], bytearray]]:
    """A server that answers the first connection with these bytes, and what it was sent."""
    came = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            link, _ = listener.accept()
            with link:
                link.settimeout(10)
                came.extend(link.recv(65536))
                link.sendall(answer)
                link.shutdown(socket.SHUT_WR)
                while more := link.recv(65536):
                    came.extend(more)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname(), came
        thread.join()


def gone_on() -> Callable[[], bool]:
    return lambda: True


def test_five_of_six_users_wait_for_the_mutex_that_one_holds() -> None:
    updates = ConsoleUpdates()
    assert gathered(iter(split(recorded("mutex"))), updates) == ""
    (wait,) = updates.lock_waits()
    assert wait.of == "lock"
    assert wait.threads == pytest.approx(5.0, abs=0.3)
    assert [(f.function, f.file, f.line) for f in wait.stack] == [
        ("task of src/main.rs:64", "src/main.rs", 64),
        ("Mutex of src/main.rs:61", "src/main.rs", 61),
    ]
    assert updates.long_polls() == ()


def test_a_task_that_blocks_its_worker_is_named_by_where_it_was_spawned() -> None:
    updates = ConsoleUpdates()
    assert gathered(iter(split(recorded("block"))), updates) == ""
    (poll,) = updates.long_polls()
    assert poll.task == "task of src/main.rs:64"
    assert poll.mean == pytest.approx(0.008, rel=0.1)
    assert updates.lock_waits() == ()


def test_a_stream_gives_its_messages_whatever_frames_they_came_in() -> None:
    body = recorded("block")
    pieces = [body[at : at + 5000] for at in range(0, len(body), 5000)]
    padded = frame(0, 0x8, 1, bytes([3]) + pieces[0] + b"\0\0\0")
    data = padded + b"".join(frame(0, 0, 1, piece) for piece in pieces[1:])
    begun = frame(4, 0, 0, b"") + frame(6, 0, 0, b"12345678") + frame(1, 0x4, 1, b"\x88")
    with serving(begun + data + frame(1, 0x5, 1, b"\x88")) as (address, came):
        got: list[bytes] = []
        with pytest.raises(OSError, match="ended"):
            for message in messages(address, METHOD, b"", gone_on()):
                got.append(message)  # noqa: PERF402  the error comes behind the last
    assert got == list(split(body))
    assert came.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert METHOD.encode() in came
    assert frame(4, 1, 0, b"") in came  # the settings are taken
    assert frame(6, 1, 0, b"12345678") in came  # and it is told that we live


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        frame(7, 0, 0, b"\0" * 8),
        frame(0, 0, 1, b"\1" + b"\0\0\0\1x"),
        frame(0, 0, 1, b"\0\xff\xff\xff\xff"),
        b"",
    ],
    ids=["HTTP/1.1", "goes away", "compressed", "endless", "silent"],
)
def test_what_does_not_stream_is_told_of(answer: bytes) -> None:
    with serving(answer) as (address, _), pytest.raises(OSError, match=r"."):
        list(messages(address, METHOD, b"", gone_on()))


def test_messages_that_are_none_are_told_of_and_torn_ones_too() -> None:
    whole = next(split(recorded("mutex")))
    for torn in (whole[:-7], b"\xff" * 40, b"\x12\x03\x0a\x01\x0a", b"\x10\x01"):
        with pytest.raises(Unreadable):
            ConsoleUpdates().take(torn)
