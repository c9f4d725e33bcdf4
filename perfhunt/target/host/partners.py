"""Which processes work for the target: those at the other end of its connections on this host."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from contextlib import suppress

from perfhunt.target.host.opened import is_endpoint, sockets_of_host
from perfhunt.target.proc.sock_diag import unix_peers
from perfhunt.target.proc.sockets import ESTABLISHED, TcpSocket, held_inodes, tcp_sockets

# Address and port of one end, and of the other.
_Ends = tuple[str, int, str, int]


def partners(target: Iterable[int], candidates: Iterable[int]) -> set[int]:
    """Those of the candidates that hold the other end of a TCP or unix connection of the target:
    a database, a service it calls, a proxy before it. One whose descriptors may not be read is
    taken for a stranger.
    """
    candidates = list(candidates)
    if not candidates:
        return set()
    held, ends = set[int](), set[_Ends]()
    for pid in target:
        inodes = _held(pid)
        held |= inodes
        ends |= {_ends(row) for row in tcp_sockets(pid, ESTABLISHED) if row.inode in inodes}
    others = {peer for inode, peer in unix_peers().items() if inode in held}
    return {pid for pid in candidates if _connected(pid, ends, others)}


def listening_at(places: Collection[str], candidates: Iterable[int]) -> set[int]:
    """Those of the candidates that listen at one of these places, of which those that are no
    endpoint lead nowhere, in our own network: a connection that lives for milliseconds is seldom
    met, and who waits in one says where it leads.
    """
    candidates, addresses = list(candidates), list(filter(is_endpoint, places))
    if not addresses or not candidates:
        return set()
    sockets = sockets_of_host(os.getpid())
    wanted = set[int]().union(*map(sockets.listeners, addresses))
    return {pid for pid in candidates if _held(pid) & wanted}


def _connected(pid: int, ends: set[_Ends], unix: set[int]) -> bool:
    inodes = _held(pid)
    if inodes & unix:
        return True
    rows = (row for row in tcp_sockets(pid, ESTABLISHED) if row.inode in inodes)
    return any((row.remote, row.remote_port, row.local, row.local_port) in ends for row in rows)


def _held(pid: int) -> frozenset[int]:
    with suppress(OSError):
        return held_inodes(pid)
    return frozenset()


def _ends(row: TcpSocket) -> _Ends:
    return row.local, row.local_port, row.remote, row.remote_port
