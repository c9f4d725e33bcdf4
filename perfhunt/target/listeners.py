"""Which process listens where: the kernel's socket table gives the inodes, `PID/fd` says who holds
them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from perfhunt.model.run import Listener
from perfhunt.target.proc.sock_diag import accept_queues
from perfhunt.target.proc.sockets import held_inodes, listening


def listeners(held: Mapping[int, frozenset[int]]) -> tuple[Listener, ...]:
    """The listening sockets of some processes (pid -> inodes held), one per address, with the pids
    that hold each.

    Several sockets on one address (SO_REUSEPORT) are one listener; its backlog is the sum of
    theirs.
    """
    sockets = {row.inode: row for pid in held for row in listening(pid)}
    holders: dict[tuple[int, str], set[int]] = {}
    inodes: dict[tuple[int, str], set[int]] = {}
    for pid, own in held.items():
        for inode in own & sockets.keys():
            address = (sockets[inode].local_port, sockets[inode].local)
            holders.setdefault(address, set()).add(pid)
            inodes.setdefault(address, set()).add(inode)
    queues = accept_queues() if holders else {}
    made = []
    for port, host in sorted(holders):
        known = [queues[inode].backlog for inode in inodes[port, host] if inode in queues]
        made.append(
            Listener(host, port, tuple(sorted(holders[port, host])), sum(known) if known else None)
        )
    return tuple(made)


def holders_of_port(port: int, pids: Iterable[int]) -> tuple[int, ...]:
    """Which of some processes hold a listening socket on a port. Processes whose descriptors are
    unreadable are left out.
    """
    holders: list[int] = []
    inodes = {row.inode for row in listening(os.getpid()) if row.local_port == port}
    for pid in pids:
        try:
            own = held_inodes(pid)
        except PermissionError:
            continue
        if own & inodes:
            holders.append(pid)
    return tuple(holders)
