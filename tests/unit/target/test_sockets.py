"""The kernel's own answer about TCP sockets says what its table in /proc says, and less of what
nobody holds.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from perfhunt.model.states import ThreadState
from perfhunt.target.proc import sockets
from perfhunt.target.proc.files import read
from perfhunt.target.proc.sock_diag import tcp_rows
from perfhunt.target.proc.sockets import ESTABLISHED, LISTEN, TcpSocket, tcp_sockets
from perfhunt.target.proc.waits import ProcessWaits, Wait

TIME_WAIT = 6


@pytest.fixture(scope="module", autouse=True)
def netlink() -> None:
    if tcp_rows(LISTEN) is None:
        pytest.skip("the kernel refuses netlink here")


@pytest.fixture(params=["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family) as listener:
        try:
            listener.bind((request.param, 0))
        except OSError as error:
            pytest.skip(f"no such address here: {error}")
        listener.listen()
        yield listener


def of_port(port: int, rows: list[TcpSocket]) -> set[TcpSocket]:
    return {row for row in rows if port in (row.local_port, row.remote_port)}


def told_by_the_table(monkeypatch: pytest.MonkeyPatch, *states: int) -> list[TcpSocket]:
    monkeypatch.setattr(sockets, "tcp_rows", lambda *_: None)
    return tcp_sockets(os.getpid(), *states)


def test_netlink_and_the_table_say_the_same(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = listener.getsockname()[1]
    with socket.create_connection(listener.getsockname()[:2]) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        served, _ = listener.accept()
        with served, socket.create_connection(listener.getsockname()[:2]):
            asked = of_port(port, tcp_sockets(os.getpid()))
            read = of_port(port, told_by_the_table(monkeypatch))
    assert asked == read
    waiting = {row.inode: row.receive_queue for row in asked}
    assert sorted(waiting.values()) == [0, 0, 0, 1, 18]  # a client waits to be accepted; a request
    assert {row.state for row in asked} == {LISTEN, ESTABLISHED}


def test_only_the_states_that_were_asked_for_are_there(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with socket.create_connection(listener.getsockname()[:2]):
        assert {r.state for r in of_port(port, tcp_sockets(os.getpid(), LISTEN))} == {LISTEN}
        both = of_port(port, tcp_sockets(os.getpid(), ESTABLISHED))
    assert [row.state for row in both] == [ESTABLISHED] * 2


def test_connections_that_nobody_holds_any_more_are_left_out(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = listener.getsockname()[1]
    client = socket.create_connection(listener.getsockname()[:2])
    served, _ = listener.accept()
    client.close()
    with closing(served):
        assert served.recv(1) == b""
    resting = of_port(port, told_by_the_table(monkeypatch, TIME_WAIT))
    monkeypatch.undo()
    assert resting  # it is in the table, and will be for a minute
    assert {row.state for row in of_port(port, tcp_sockets(os.getpid()))} == {LISTEN}


def test_another_network_is_read_from_its_own_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "tcp_rows", lambda *_: pytest.fail("asked of our own network"))
    monkeypatch.setattr(sockets, "lives_apart", lambda *_: True)
    assert tcp_sockets(os.getppid(), LISTEN) is not None


@pytest.mark.parametrize(
    "wait",
    [
        lambda link: select.select([link], [], []),
        lambda link: _poll(link, select.POLLIN),
    ],
    ids=["select", "poll"],
)
def test_who_polls_a_clients_socket_to_read_from_it_waits_for_that_client(
    wait: Callable[[socket.socket], object],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client, server.accept()[0] as link:
            tids: list[int] = []

            def serve() -> None:
                tids.append(threading.get_native_id())
                wait(link)

            thread = threading.Thread(target=serve)
            thread.start()
            waits = ProcessWaits(os.getpid())
            try:
                for _ in range(100_000):  # until it sleeps there
                    line = tids and read(f"/proc/self/task/{tids[0]}/syscall")
                    if line and (asleep := waits.wait(tids[0], line)).state is ThreadState.POLL:
                        break
            finally:
                client.sendall(b"x")
                thread.join()
            assert asleep == Wait(ThreadState.POLL, f"client:{port}")


def _poll(link: socket.socket, events: int) -> object:
    poll = select.poll()
    poll.register(link, events)
    return poll.poll()
