"""Who is behind an address, as far as it can be told without a live peer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perfhunt.target.host import peers
from perfhunt.target.host.opened import Opened, SocketsOfHost, opened
from perfhunt.target.host.peers import Backend, PeerFinder
from perfhunt.target.proc.sockets import ESTABLISHED, LISTEN, TcpSocket


@pytest.mark.parametrize(
    ("title", "told"),
    [
        ("postgres: app shop 127.0.0.1(53412) SELECT", Backend(53412, "SELECT")),
        (
            "postgres: app shop ::1(53412) idle in transaction",
            Backend(53412, "idle in transaction"),
        ),
        ("postgres: 15/main: app shop [local] UPDATE waiting", Backend(0, "UPDATE waiting")),
        ("postgres: 15/main: app shop db.example.org(7) idle", Backend(7, "idle")),
        ("postgres: checkpointer ", None),
        ("postgres: 15/main: parallel worker for PID 4711 ", None),
        ("/usr/lib/postgresql/15/bin/postgres -D /srv/data", None),
        ("python server.py 127.0.0.1(53412) SELECT", None),
    ],
)
def test_a_title_of_postgresql_names_the_clients_port_and_the_statement(
    title: str, told: Backend | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "cmdline", lambda _: (title,))
    assert peers.backend(1) == told


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("/usr/bin/python3.11", "-X", "dev", "/srv/prices.py", "8001"), "prices.py"),
        (("python", "-m", "uvicorn", "prices:app"), "uvicorn"),
        (("python", "-c", "secret()"), "comm"),
        (("node", "/srv/server.js"), "server.js"),
        (("java", "-Xmx1g", "-jar", "/srv/stock.jar"), "stock.jar"),
        (("/usr/sbin/nginx", "-g", "daemon off;"), "comm"),
        ((), "comm"),
    ],
)
def test_a_program_is_called_by_what_its_interpreter_runs(
    words: tuple[str, ...], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "cmdline", lambda _: words)
    expected = Path("/proc/self/comm").read_text().strip() if name == "comm" else name
    assert peers.program(os.getpid()) == expected


def test_a_peer_on_another_host_is_named_by_its_port_and_its_limits_are_said() -> None:
    # An address that is set aside for documentation (RFC 5737): nobody is there.
    found = PeerFinder().trees(
        [Opened("192.0.2.7:5432", 40000, 0), Opened("192.0.2.7:8080", 40001, 0)],
        SocketsOfHost(),
        [1],
        0.0,
    )
    assert {tree.name for tree in found.values()} == {"postgres", "192.0.2.7:8080"}
    assert all(tree.roots == () and "on another host" in tree.note for tree in found.values())


def test_a_peer_of_this_host_that_may_not_be_seen_is_said_so() -> None:
    found = PeerFinder().trees([Opened("127.0.0.1:6379", 1, 0)], SocketsOfHost(), [1], 0.0)
    (tree,) = found.values()
    if tree.roots:
        pytest.skip("a Redis runs here")
    assert tree.name == "redis-server" and "run perfhunt as root" in tree.note


def row(local: tuple[str, int], remote: tuple[str, int], state: int, inode: int) -> TcpSocket:
    return TcpSocket(*local, *remote, state, 0, inode)


def test_only_connections_that_the_target_opened_lead_to_peers() -> None:
    us, db, client = ("127.0.0.1", 8000), ("127.0.0.1", 5432), ("127.0.0.1", 50001)
    mine = ("127.0.0.1", 40001)
    rows = [
        row(us, client, ESTABLISHED, 1),  # a client came in
        row(client, us, ESTABLISHED, 2),
        row(mine, db, ESTABLISHED, 3),  # the target went out
        row(db, mine, ESTABLISHED, 4),
        row(("127.0.0.1", 40002), ("10.0.0.5", 443), ESTABLISHED, 5),
    ]
    listening = (row(("0.0.0.0", 8000), ("0.0.0.0", 0), LISTEN, 6),)
    sockets = SocketsOfHost({r.inode: r for r in rows}, listening)
    assert sorted(opened({1, 3, 5}, sockets), key=lambda c: c.port) == [
        Opened("127.0.0.1:5432", 40001, 4),
        Opened("10.0.0.5:443", 40002, 0),
    ]
