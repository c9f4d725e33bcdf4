"""Which processes of a peer serve the target, by their sockets or by their titles."""

from __future__ import annotations

import pytest

from perfhunt.profilers import peer_watch
from perfhunt.target.host.opened import Opened, SocketsOfHost
from perfhunt.target.host.peers import Backend, PeerTree
from perfhunt.target.proc.sockets import ESTABLISHED, TcpSocket


def looked_at(connections: list[Opened], sockets: SocketsOfHost) -> peer_watch._WatchedPeer:
    watched = peer_watch._WatchedPeer(PeerTree("postgres", (1,)))
    peer_watch._look_at_ends(watched, connections, sockets, [1, 2, 3])
    return watched


def test_by_titles_where_descriptors_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    titles = {2: Backend(40001, "SELECT"), 3: Backend(40999, "SELECT")}
    monkeypatch.setattr(peer_watch, "sockets_held", lambda _: set())
    monkeypatch.setattr(peer_watch, "backend", titles.get)
    watched = looked_at([Opened("127.0.0.1:5432", 40001, 7)], SocketsOfHost())
    assert watched.ports == {2: {40001}} and watched.foreign == {3} and watched.others == 1


def test_by_titles_in_another_network_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    titles = {2: Backend(40001, "SELECT"), 3: Backend(40999, "SELECT")}
    monkeypatch.setattr(peer_watch, "sockets_held", lambda _: {77})
    monkeypatch.setattr(peer_watch, "backend", titles.get)
    watched = looked_at([Opened("172.17.0.2:5432", 40001, 0)], SocketsOfHost())
    assert watched.ports == {2: {40001}} and watched.foreign == {3}


def test_by_titles_of_a_unix_socket_whose_clients_have_no_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    titles = {2: Backend(0, "SELECT"), 3: Backend(40999, "SELECT")}
    monkeypatch.setattr(peer_watch, "sockets_held", lambda _: set())
    monkeypatch.setattr(peer_watch, "backend", titles.get)
    watched = looked_at([Opened("unix:/run/postgresql/.s.PGSQL.5432", 0, 7)], SocketsOfHost())
    assert set(watched.ports) == {2} and watched.foreign == {3}


def test_by_sockets_a_process_may_serve_others_too(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {1: {5}, 2: {10, 11}, 3: {12}}
    established = {
        inode: TcpSocket("127.0.0.1", 6379, "127.0.0.1", port, ESTABLISHED, 0, inode)
        for inode, port in ((10, 40001), (11, 50001), (12, 50002))
    }
    monkeypatch.setattr(peer_watch, "sockets_held", lambda pids: held[pids[0]])
    monkeypatch.setattr(peer_watch, "backend", lambda _: None)
    watched = looked_at([Opened("127.0.0.1:6379", 40001, 10)], SocketsOfHost(established))
    # Process 2 serves the target and another, process 3 only another.
    assert watched.ports == {2: {40001}} and watched.foreign == {3} and watched.others == 2
