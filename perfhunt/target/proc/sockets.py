"""Sockets by their inodes, from the kernel's own tables: who holds one, and where it leads."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType

from perfhunt.model.units import Bytes, Seconds
from perfhunt.target.proc.files import read
from perfhunt.target.proc.sock_diag import unix_peers

ESTABLISHED, SYN_SENT, LISTEN = 1, 2, 10  # states, as in include/net/tcp_states.h
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_REFRESH: Seconds = 0.2  # the shortest time between two readings of the tables


@dataclass(frozen=True, slots=True)
class TcpSocket:
    """One row of /proc/net/tcp or tcp6. For a listening socket `receive_queue` is the accept queue
    now, in connections.
    """

    local: str
    local_port: int
    remote: str
    remote_port: int
    state: int
    receive_queue: Bytes
    inode: int

    @property
    def endpoint(self) -> str:
        """`10.0.0.5:5432`, with square brackets around IPv6."""
        host = f"[{self.remote}]" if ":" in self.remote else self.remote
        return f"{host}:{self.remote_port}"


def socket_inode(link: str) -> int | None:
    """The inode of the socket that a link of /proc/PID/fd names; None for any other thing."""
    match = _SOCKET.fullmatch(link)
    return int(match[1]) if match else None


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
            inode = socket_inode(os.readlink(f"{directory}/{name}"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # It was closed since it was listed.
        if inode is not None:
            inodes.add(inode)
    return frozenset(inodes)


def tcp_sockets(pid: int, *states: int) -> list[TcpSocket]:
    """Every TCP socket (of these states only, where any are named) of the network namespace that
    `pid` lives in; empty when it is gone.
    """
    return _table(pid, "tcp", "tcp6", states=states)


def listening(pid: int) -> list[TcpSocket]:
    """Every listening TCP socket of the network namespace that `pid` lives in."""
    return [row for row in tcp_sockets(pid) if row.state == LISTEN]


def held_listening(pid: int) -> list[TcpSocket]:
    """The listening TCP sockets that `pid` itself holds; none when its descriptors may not be
    read.
    """
    try:
        held = held_inodes(pid)
    except PermissionError:
        return []
    return [row for row in listening(pid) if row.inode in held]


def _table(pid: int, *names: str, states: Collection[int] = ()) -> list[TcpSocket]:
    rows = []
    wanted = {f"{state:02X}" for state in states}
    for name in names:
        try:
            lines = read(f"/proc/{pid}/net/{name}").decode().splitlines()[1:]
        except OSError:
            continue
        fields = (line.split() for line in lines)
        # Addresses are dear to read, and closed connections may rest here by the ten thousand.
        rows += [_row(field) for field in fields if not wanted or field[3] in wanted]
    return rows


def _row(field: list[str]) -> TcpSocket:
    (local, local_port), (remote, remote_port) = address(field[1]), address(field[2])
    _, _, receive = field[4].partition(":")
    return TcpSocket(
        local=local,
        local_port=local_port,
        remote=remote,
        remote_port=remote_port,
        state=int(field[3], 16),
        receive_queue=int(receive, 16),
        inode=int(field[9]),
    )


def address(text: str) -> tuple[str, int]:
    """(host, port) of `0100007F:1538`: the kernel prints each 32-bit word of the address in the
    byte order of the machine.
    """
    words, _, port = text.partition(":")
    raw = b"".join(bytes.fromhex(words[i : i + 8])[::-1] for i in range(0, len(words), 8))
    if len(raw) == 4:
        return str(IPv4Address(raw)), int(port, 16)
    ip = IPv6Address(raw)
    return str(ip.ipv4_mapped or ip), int(port, 16)


def unix_paths(pid: int) -> dict[int, str]:
    """Unix sockets in the network namespace of `pid`: inode -> the path it is bound to, or ""."""
    try:
        lines = read(f"/proc/{pid}/net/unix").decode(errors="replace").splitlines()[1:]
    except OSError:
        return {}
    fields = (line.split(maxsplit=7) for line in lines)
    return {int(field[6]): field[7] if len(field) > 7 else "" for field in fields}


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
        if now - self._read_at < _REFRESH:
            return
        self._read_at = now
        tcp = tcp_sockets(self._pid)
        # A client asks its name server over UDP: that is a dependency too. The table has the same
        # columns.
        self._sockets = {row.inode: row for row in (*_table(self._pid, "udp", "udp6"), *tcp)}
        self._listening = frozenset(row.local_port for row in tcp if row.state == LISTEN)
        self._unix = unix_paths(self._pid)
        if not all(self._unix.values()):
            # A client's end has no name of its own: it takes the name of the end it is connected
            # to.
            peers = unix_peers()
            self._unix = {
                inode: path or self._unix.get(peers.get(inode, 0), "")
                for inode, path in self._unix.items()
            }
