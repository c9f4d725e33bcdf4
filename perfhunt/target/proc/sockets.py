"""Which remote endpoint a socket inode is connected to, from the kernel's own tables."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType

from perfhunt.target.proc.proc import read
from perfhunt.target.proc.unix import unix_peers

ESTABLISHED, SYN_SENT, LISTEN = 1, 2, 10


@dataclass(frozen=True, slots=True)
class TcpSocket:
    """One row of /proc/net/tcp or tcp6. For a listening socket `receive_queue` is the accept queue
    now.
    """

    local: str
    local_port: int
    remote: str
    remote_port: int
    state: int
    send_queue: int
    receive_queue: int
    inode: int

    @property
    def endpoint(self) -> str:
        """`10.0.0.5:5432`, with square brackets around IPv6."""
        host = f"[{self.remote}]" if ":" in self.remote else self.remote
        return f"{host}:{self.remote_port}"


def _address(text: str) -> tuple[str, int]:
    # The kernel prints each 32-bit word of the address in the byte order of the machine.
    words, _, port = text.partition(":")
    raw = b"".join(bytes.fromhex(words[i : i + 8])[::-1] for i in range(0, len(words), 8))
    if len(raw) == 4:
        return str(IPv4Address(raw)), int(port, 16)
    address = IPv6Address(raw)
    return str(address.ipv4_mapped or address), int(port, 16)


def tcp_sockets(pid: int) -> list[TcpSocket]:
    """Every TCP socket of the network namespace that `pid` lives in; empty when it is gone."""
    return _table(pid, "tcp", "tcp6")


def _table(pid: int, *names: str) -> list[TcpSocket]:
    found = []
    for name in names:
        try:
            lines = read(f"/proc/{pid}/net/{name}").decode().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            field = line.split()
            (local, local_port), (remote, remote_port) = _address(field[1]), _address(field[2])
            send, _, receive = field[4].partition(":")
            found.append(
                TcpSocket(
                    local,
                    local_port,
                    remote,
                    remote_port,
                    int(field[3], 16),
                    int(send, 16),
                    int(receive, 16),
                    int(field[9]),
                )
            )
    return found


def unix_paths(pid: int) -> dict[int, str]:
    """Unix socket inodes that have a path, in the network namespace of `pid`."""
    try:
        lines = read(f"/proc/{pid}/net/unix").decode(errors="replace").splitlines()[1:]
    except OSError:
        return {}
    found = {}
    for line in lines:
        field = line.split(maxsplit=7)
        found[int(field[6])] = field[7] if len(field) > 7 else ""
    return found


class SocketTable:
    """Endpoints of the sockets of one process, read again (five times a second at most) when an
    inode is new.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._sockets: Mapping[int, TcpSocket] = MappingProxyType({})
        self._unix: Mapping[int, str] = MappingProxyType({})
        self._listening: frozenset[int] = frozenset()
        self._read_at = float("-inf")

    def describe(self, inode: int) -> tuple[str, bool]:
        """(endpoint, inbound): where the socket leads, and whether the other end came to us as a
        client.

        An inbound endpoint is `client:PORT` with our own port, since clients are many and none of
        them is a dependency. A socket in no table is `socket`.
        """
        if inode not in self._sockets and inode not in self._unix:
            self._refresh()
        if (tcp := self._sockets.get(inode)) is not None:
            if tcp.state == LISTEN or tcp.local_port in self._listening:
                return f"client:{tcp.local_port}", True
            return tcp.endpoint if tcp.remote_port else "socket", False
        if (path := self._unix.get(inode)) is not None:
            return f"unix:{path}" if path else "unix", False
        return "socket", False

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._read_at < 0.2:
            return
        self._read_at = now
        sockets = tcp_sockets(self._pid)
        # A client asks its name server over UDP: that is a dependency too. The table has the same
        # columns.
        self._sockets = {one.inode: one for one in (*_table(self._pid, "udp", "udp6"), *sockets)}
        self._listening = frozenset(one.local_port for one in sockets if one.state == LISTEN)
        self._unix = unix_paths(self._pid)
        if not all(self._unix.values()):
            # A client's end has no name of its own: it takes the name of the end it is connected
            # to.
            peers = unix_peers()
            self._unix = {
                inode: path or self._unix.get(peers.get(inode, 0), "")
                for inode, path in self._unix.items()
            }
