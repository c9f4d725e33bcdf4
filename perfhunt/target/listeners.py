"""Which process listens where: the kernel's socket table gives the inodes, `PID/fd` says who holds
them. A unix socket is listened on by a path, which may be relative to its owner's directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from perfhunt.model.run import Listener
from perfhunt.model.text.socket_url import PREFIX
from perfhunt.target.proc.files import link
from perfhunt.target.proc.sock_diag import accept_queues, unix_queues
from perfhunt.target.proc.sockets import held_inodes, listening, unix_listening


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


def holders_of_port(port: int, pids: Iterable[int], within: int = 0) -> tuple[int, ...]:
    """Which of some processes hold a listening socket on a port of our network namespace, or of
    that which the pid `within` lives in. Processes whose descriptors are unreadable are left out.
    """
    holders: list[int] = []
    rows = listening(within or os.getpid())
    inodes = {row.inode for row in rows if row.local_port == port}
    for pid in pids if inodes else ():
        try:
            own = held_inodes(pid)
        except PermissionError:
            continue
        if own & inodes:
            holders.append(pid)
    return tuple(holders)


def unix_listeners(held: Mapping[int, frozenset[int]]) -> tuple[Listener, ...]:
    """The unix sockets that some processes (pid -> inodes held) listen on, by path."""
    holders: dict[str, set[int]] = {}
    backlogs: dict[str, int] = {}
    queues = unix_queues()
    for pid, own in held.items():
        for inode, path in unix_listening(pid).items() if own else ():
            if inode in own:
                whole = _whole(path, pid)
                holders.setdefault(whole, set()).add(pid)
                if inode in queues:
                    backlogs[whole] = queues[inode].backlog
    return tuple(
        Listener(f"{PREFIX}{path}", 0, tuple(sorted(holders[path])), backlogs.get(path))
        for path in sorted(holders)
    )


def holders_of_path(path: str, pids: Iterable[int]) -> tuple[int, ...]:
    """Which of some processes listen on the unix socket at a path. As `holders_of_port`."""
    sockets = unix_listening(os.getpid())
    holders: list[int] = []
    for pid in pids if sockets else ():
        try:
            own = held_inodes(pid) & sockets.keys()
        except PermissionError:
            continue
        if any(is_at(_whole(sockets[inode], pid), path) for inode in own):
            holders.append(pid)
    return tuple(holders)


def is_at(path: str, other: str) -> bool:
    """Whether two paths lead to one socket: /var/run is often /run."""
    return os.path.realpath(path) == os.path.realpath(other)


def _whole(path: str, pid: int) -> str:
    return path if path.startswith("/") else os.path.normpath(f"{link(pid, 'cwd')}/{path}")
