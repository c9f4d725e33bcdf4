"""How a connection reads answers that come in pieces: a server that writes what the test says."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from perfhunt.load.child.http.address import ServerAddress
from perfhunt.load.child.http.client import Client
from perfhunt.load.child.http.connection import Connection
from perfhunt.load.child.recorder import SampleBuffer
from perfhunt.load.child.sender import SendLimits
from perfhunt.load.render import prepare
from perfhunt.load.wire import WireAccount, duration_of
from perfhunt.model.question import RequestTemplate

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
GZIP = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\n\r\n"
SETTLE = 1.0


class Watchers:
    """Stands in for the event loop: the test itself says when there is something to read."""

    def io(self, fd: int, events: int) -> Any:
        return self

    def start(self, callback: object = None) -> None: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def client(listener: socket.socket) -> Client:
    made = Client(
        Watchers(),
        ServerAddress(socket.AF_INET, listener.getsockname()),
        [prepare(RequestTemplate("it", "GET", "/"), "test", "run", {})],
        SendLimits(),
    )
    made.begin_trial(SampleBuffer(), 0.0, SETTLE)
    return made


def sent(client: Client, due: float = 2.0) -> Connection:
    """The connection that a request due at `due` went out on."""
    client.offer(due, 0, 0)
    return next(iter(client.in_flight))


def gaps(steps: dict[int, int]) -> list[float]:
    return [round(duration_of(step), 3) for step, n in sorted(steps.items()) for _ in range(n)]


def account(client: Client) -> WireAccount:
    return client.wire.account()


def test_the_gap_is_from_the_first_piece_to_the_last(client: Client) -> None:
    connection = sent(client)
    connection.take(HEAD, 10.0)
    connection.take(b"hel", 10.02)
    connection.take(b"lo", 10.04)
    assert gaps(account(client).apart) == [0.04]
    assert account(client).head_first == 1
    assert client.recorder.added == 1


def test_an_answer_in_one_piece_has_no_gap_even_when_its_head_is_known(client: Client) -> None:
    connection = sent(client)
    for now in (10.0, 11.0):
        connection.take(HEAD + b"hello", now)
        connection = sent(client)
    assert account(client).apart == account(client).hurried == {}
    assert account(client).encodings == ("identity",)


def test_pieces_that_were_read_at_the_same_moment_were_one(client: Client) -> None:
    connection = sent(client)
    connection.take(HEAD, 10.0)
    connection.take(b"hello", 10.0)
    assert account(client).apart == {}


def test_a_first_piece_with_some_body_is_not_the_head_alone(client: Client) -> None:
    connection = sent(client)
    connection.take(GZIP + b"he", 10.0)
    connection.take(b"llo", 10.04)
    assert (account(client).head_first, account(client).encodings) == (0, ("gzip",))


def test_an_answer_that_ends_with_the_connection_ends_with_its_close(client: Client) -> None:
    connection = sent(client)
    connection.take(UNTIL_CLOSE, 10.0)
    connection.take(b"hello", 10.01)
    connection.ended(10.04)
    assert gaps(account(client).apart) == [0.04]


def test_what_does_not_count_is_acknowledged_at_once_and_kept_apart(client: Client) -> None:
    connection = sent(client, due=0.5)
    asked: list[int] = []
    real, connection.sock = connection.sock, Asked(asked)
    connection.take(HEAD, 10.0)
    connection.take(b"hello", 10.002)
    assert asked == [socket.TCP_QUICKACK]
    assert (gaps(account(client).hurried), account(client).apart) == ([0.002], {})
    client.offer(2.0, 0, 0)
    connection.take(HEAD, 11.0)
    connection.take(b"hello", 11.04)
    assert asked == [socket.TCP_QUICKACK]  # never where it counts
    assert gaps(account(client).apart) == [0.04]
    connection.sock = real


class Asked:
    """A socket that only remembers which options were set."""

    def __init__(self, options: list[int]) -> None:
        self._options = options

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self._options.append(option)


def test_what_is_left_of_the_trial_before_is_not_counted(client: Client) -> None:
    connection = sent(client)
    connection.take(HEAD, 10.0)
    client.cut(10.01, hard=False)
    client.begin_trial(SampleBuffer(), 0.0, SETTLE)
    connection.take(b"hello", 10.04)
    assert account(client).apart == {}


def test_connections_are_counted_and_those_of_requests_that_count(client: Client) -> None:
    connections = [sent(client, due=0.5)]
    client.offer(2.0, 0, 0)
    connections += [c for c in client.in_flight if c not in connections]
    for connection in connections:
        if not connection.connected:
            connection.on_writable()
    assert (sum(account(client).connects.values()), account(client).new) == (2, 1)


@pytest.mark.parametrize("answers", [1, 2])  # the second is known by its head
def test_a_connection_that_was_answered_before_all_was_sent_takes_no_other_request(
    client: Client, answers: int
) -> None:
    for _ in range(answers - 1):
        sent(client).take(HEAD + b"hello", 10.0)
    client.endpoints[0].made[0] = bytes(1 << 26)  # more than sockets hold that nobody reads
    connection = sent(client)
    connection.take(HEAD + b"hello", 11.0)
    assert client.recorder.added == answers
    assert not client.idle
    assert connection.sock.fileno() == -1
