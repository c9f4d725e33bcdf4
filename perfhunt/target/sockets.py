"""Which process listens where: the kernel's socket table gives the inodes, `PID/fd` says who holds
them.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Iterable, Mapping

from perfhunt.model.run import Listener
from perfhunt.target.proc.sockets import LISTEN, TcpSocket, tcp_sockets

_SOCKET = re.compile(r"socket:\[(\d+)\]")

# linux/sock_diag.h and linux/inet_diag.h
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _DUMP_REQUEST = 4, 20, 0x301
_NLMSG_ERROR, _NLMSG_DONE = 2, 3


def listen_sockets(pid: int | None = None) -> list[TcpSocket]:
    """Every listening TCP socket of a process's network namespace (None: ours)."""
    return [one for one in tcp_sockets(os.getpid() if pid is None else pid) if one.state == LISTEN]


def held_inodes(pid: int) -> frozenset[int]:
    """The inodes of every socket a process holds. Raises PermissionError when its descriptors may
    not be read.
    """
    inodes: set[int] = set()
    directory = f"/proc/{pid}/fd"
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, ProcessLookupError):
        return frozenset()
    for name in names:
        try:
            match = _SOCKET.fullmatch(os.readlink(f"{directory}/{name}"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # closed since it was listed
        if match:
            inodes.add(int(match[1]))
    return frozenset(inodes)


def listeners(held: Mapping[int, frozenset[int]]) -> tuple[Listener, ...]:
    """The listening sockets of some processes (pid -> inodes held), one per address, with the pids
    that hold each.

    Several sockets on one address (SO_REUSEPORT) are one listener; its backlog is the sum of
    theirs.
    """
    sockets = {s.inode: s for pid in held for s in listen_sockets(pid)}
    holders: dict[tuple[int, str], set[int]] = {}
    inodes: dict[tuple[int, str], set[int]] = {}
    for pid, own in held.items():
        for inode in own & sockets.keys():
            address = (sockets[inode].local_port, sockets[inode].local)
            holders.setdefault(address, set()).add(pid)
            inodes.setdefault(address, set()).add(inode)
    limits = backlogs() if holders else {}
    made = []
    for port, host in sorted(holders):
        known = [limits[i] for i in inodes[port, host] if i in limits]
        made.append(
            Listener(host, port, tuple(sorted(holders[port, host])), sum(known) if known else None)
        )
    return tuple(made)


def holders_of_port(port: int, pids: Iterable[int]) -> tuple[int, ...]:
    """Which of some processes hold a listening socket on a port. Processes whose descriptors are
    unreadable are left out.
    """
    found: list[int] = []
    wanted = {s.inode for s in listen_sockets() if s.local_port == port}
    for pid in pids:
        try:
            own = held_inodes(pid)
        except PermissionError:
            continue
        if own & wanted:
            found.append(pid)
    return tuple(found)


def backlogs() -> dict[int, int]:
    """inode -> longest accept queue allowed, for the listening sockets of our network namespace.

    /proc does not have it; sock_diag(7) gives it as `idiag_wqueue` of a listening socket. Empty
    where netlink is refused.
    """
    found: dict[int, int] = {}
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            found.update(_dump(family))
        except OSError:
            continue
    return found


def _dump(family: int) -> dict[int, int]:
    listen_only = 1 << 10
    request = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, listen_only) + bytes(48)
    header = struct.pack("=IHHII", 16 + len(request), _SOCK_DIAG_BY_FAMILY, _DUMP_REQUEST, 1, 0)
    found: dict[int, int] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as link:
        link.settimeout(1.0)
        link.send(header + request)
        while True:
            answer = link.recv(65536)
            at = 0
            while at + 16 <= len(answer):
                length, kind = struct.unpack_from("=IH", answer, at)
                if kind in (_NLMSG_DONE, _NLMSG_ERROR) or length < 16:
                    return found
                # struct inet_diag_msg: 4 bytes, id (48), expires, rqueue, wqueue, uid, inode.
                _, _, wqueue, _, inode = struct.unpack_from("=IIIII", answer, at + 16 + 4 + 48)
                found[inode] = wqueue
                at += (length + 3) & ~3
