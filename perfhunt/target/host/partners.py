"""Which processes work for the target: those at the other end of its connections on this host."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

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
