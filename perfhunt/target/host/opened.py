"""The connections that some processes opened, to whatever host, by the kernel's own tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from perfhunt.target.proc.sockets import (
    ESTABLISHED,
    LISTEN,
    TcpSocket,
    held_inodes,
    tcp_sockets,
    unix_opened,
    unix_paths,
)

CLOSED = -1  # the port at this end of a connection that is there no more
UNIX = "unix:"  # how the address of a unix socket begins; its path follows


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection as the one who opened it has it: the `address` it leads to, spelled as a wait
    names it, the port at this end (0: a unix socket; or `CLOSED`), and the inode of the other end
    (0: that is not in the same network namespace).
    """

    address: str
    port: int
    far_inode: int


@dataclass(frozen=True, slots=True)
class SocketsOfHost:
    """Connections and listening sockets of one network namespace at one moment."""

    established: Mapping[int, TcpSocket] = field(default_factory=dict)  # by inode
    listening: tuple[TcpSocket, ...] = ()
    unix: Mapping[int, str] = field(default_factory=dict)  # inode -> path, "" when it has none

    def listeners(self, address: str) -> set[int]:
        """The inodes of the sockets that listen where an address leads."""
        if address.startswith(UNIX):
            path = address.removeprefix(UNIX)
            return {inode for inode, name in self.unix.items() if name == path}
        return {row.inode for row in self.listening if _listens_at(row, address)}


def is_endpoint(name: str) -> bool:
    """Whether what a thread waits on leads to an address: a client's does not."""
    host, _, port = name.rpartition(":")
    return name.startswith(UNIX) or ((port.isdecimal() and "." in host) or host.startswith("["))


def _listens_at(row: TcpSocket, address: str) -> bool:
    return row.endpoint == address or (
        row.local_port == int(address.rpartition(":")[2])
        and (row.local in ("0.0.0.0", "::") or row.local == host_of(address))
    )


def host_of(address: str) -> str:
    """The host of `10.0.0.5:5432` or `[::1]:5432`."""
    return address.rpartition(":")[0].strip("[]")


def sockets_of_host(pid: int) -> SocketsOfHost:
    """The sockets of the network namespace that a process lives in."""
    rows = tcp_sockets(pid, ESTABLISHED, LISTEN)
    return SocketsOfHost(
        established={row.inode: row for row in rows if row.state == ESTABLISHED},
        listening=tuple(row for row in rows if row.state == LISTEN),
        unix=unix_paths(pid),
    )


def sockets_held(pids: Iterable[int]) -> set[int]:
    """The inodes of the sockets that some processes hold, without those that may not be looked
    into.
    """
    held = set[int]()
    for pid in pids:
        with suppress(PermissionError):
            held |= held_inodes(pid)
    return held


def opened(held: set[int], sockets: SocketsOfHost) -> list[Opened]:
    """The connections among sockets that are held, without those that clients opened to them."""
    ports = {row.local_port for row in sockets.listening}
    far = {_ends(row): inode for inode, row in sockets.established.items()}
    rows = [row for inode in held if (row := sockets.established.get(inode)) is not None]
    over_tcp = [
        Opened(row.endpoint, row.local_port, far.get(_ends(row)[2:] + _ends(row)[:2], 0))
        for row in rows
        if row.local_port not in ports
    ]
    over_unix = [Opened(f"{UNIX}{path}", 0, far) for path, far in unix_opened(held, sockets.unix)]
    return over_tcp + over_unix


def _ends(row: TcpSocket) -> tuple[str, int, str, int]:
    return row.local, row.local_port, row.remote, row.remote_port
