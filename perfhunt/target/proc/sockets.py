"""Sockets by their inodes, from the kernel's own tables: who holds one, and where it leads."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from socket import AF_INET, AF_INET6, SOCK_STREAM, inet_ntop
from typing import NamedTuple

from perfhunt.model.units import Bytes, Seconds
from perfhunt.target.proc.files import link, read
from perfhunt.target.proc.held_socket import SocketName, socket_ends
from perfhunt.target.proc.namespaces import Namespace, lives_apart
from perfhunt.target.proc.sock_diag import TcpRow, tcp_rows, unix_peers

ESTABLISHED, SYN_SENT, LISTEN = 1, 2, 10  # states, as in include/net/tcp_states.h
_HELD = (*range(1, 6), *range(7, 12))  # all that a descriptor may stand for: no TCP_TIME_WAIT
_ACCEPTS = 1 << 16  # __SO_ACCEPTCON of include/linux/net.h
_ABSTRACT = "@"
_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291, 2.5.5.2
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_REFRESH: Seconds = 0.2  # the shortest time between two readings of the tables
_LISTED_FOR: Seconds = 5.0  # the shortest time between two looks for ports that are listened on
_MOST_KNOWN = 4096  # sockets remembered, then all are forgotten: their inodes never come again


_USUAL_PORTS = (32_768, 60_999)  # Documentation/networking/ip-sysctl.rst


def connection_ports() -> tuple[int, int]:
    """The first and the last port that connections are given; the usual ones where that cannot be
    read.
    """
    try:
        first, last = map(int, read("/proc/sys/net/ipv4/ip_local_port_range").split())
    except (OSError, ValueError):
        return _USUAL_PORTS
    return first, last


@dataclass(frozen=True, slots=True)
class TcpSocket:
    """One TCP socket. For a listening socket `receive_queue` is the accept queue
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
        """Its other end, as `endpoint_name` writes it."""
        return endpoint_name(self.remote, self.remote_port)


class SocketLead(NamedTuple):
    """Where a socket leads, and whether the other end came as a client."""

    name: str
    inbound: bool


_UNTOLD = SocketLead("socket", False)


def endpoint_name(host: str, port: int) -> str:
    """`10.0.0.5:5432`, with square brackets around IPv6; an IPv4 address in one is itself."""
    ip = ip_address(host.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    ip = mapped or ip
    return f"[{ip}]:{port}" if isinstance(ip, IPv6Address) else f"{ip}:{port}"


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
    """Every TCP socket that somebody holds (of these states only, where any are named) of the
    network namespace that `pid` lives in; empty when it is gone.

    Closed connections rest in /proc/net/tcp by the ten thousand, so it is read only where the
    kernel cannot be asked.
    """
    wanted = states or _HELD
    if link(pid, "ns/net") and not lives_apart(pid, Namespace.NETWORK):
        rows = tcp_rows(*wanted)
        if rows is not None:
            return [_told(row) for row in rows]
    return _table(pid, "tcp", "tcp6", states=wanted)


def _told(row: TcpRow) -> TcpSocket:
    return TcpSocket(
        local=_host(row.local),
        local_port=row.local_port,
        remote=_host(row.remote),
        remote_port=row.remote_port,
        state=row.state,
        receive_queue=row.receive_queue,
        inode=row.inode,
    )


def listening(pid: int) -> list[TcpSocket]:
    """Every listening TCP socket of the network namespace that `pid` lives in."""
    return tcp_sockets(pid, LISTEN)


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
    return _host(raw), int(port, 16)


def _host(raw: bytes) -> str:
    """An address of 4 or 16 bytes, in network order; an IPv4 address in IPv6 is itself."""
    if raw.startswith(_MAPPED) and len(raw) == 16:
        raw = raw[-4:]
    return inet_ntop(AF_INET if len(raw) == 4 else AF_INET6, raw)


def unix_paths(pid: int) -> dict[int, str]:
    """Unix sockets in the network namespace of `pid`: inode -> the path it is bound to, or ""."""
    fields = _unix_table(pid)
    return {int(field[6]): field[7] if len(field) > 7 else "" for field in fields}


def unix_opened(held: Collection[int], paths: Mapping[int, str]) -> list[tuple[str, int]]:
    """The unix connections that the holder of some sockets opened: the path that each leads to, and
    the inode of its other end; `paths` as `unix_paths` has them.
    """
    others = unix_peers() if any(inode in paths for inode in held) else {}
    return [
        (path, others[inode])
        for inode in others.keys() & held
        # Who opened it has a socket without a name; two of them are a pair within a process.
        if not paths.get(inode) and (path := paths.get(others[inode], ""))
    ]


def unix_listening(pid: int) -> dict[int, str]:
    """Those that connections can be made to by a path, which is as their owner wrote it."""
    return {
        inode: path
        for inode, path in _unix_accepting(pid).items()
        if not path.startswith(_ABSTRACT)
    }


def abstract_listening(pid: int) -> dict[int, str]:
    """Those of the abstract name space (unix(7)), by their name with an @ for its first NUL."""
    return {
        inode: name for inode, name in _unix_accepting(pid).items() if name.startswith(_ABSTRACT)
    }


def _unix_accepting(pid: int) -> dict[int, str]:
    return {
        int(field[6]): field[7]
        for field in _unix_table(pid)
        if len(field) > 7 and int(field[3], 16) & _ACCEPTS and int(field[4], 16) == SOCK_STREAM
    }


def _unix_table(pid: int) -> list[list[str]]:
    """The fields of each line: number, references, protocol, flags, type, state, inode, path."""
    try:
        lines = read(f"/proc/{pid}/net/unix").decode(errors="replace").splitlines()[1:]
    except OSError:
        return []
    return [line.split(maxsplit=7) for line in lines]


class SocketTable:
    """Endpoints of the sockets of one process: asked of each socket itself where that is allowed,
    else from the kernel's tables, which take milliseconds and are read five times a second at most.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._known: dict[int, SocketLead] = {}
        self._listening: frozenset[int] = frozenset()
        self._read_at = self._listed_at = float("-inf")

    def describe(self, inode: int, descriptor: int) -> SocketLead:
        """Where the socket leads, and whether the other end came to us as a client.

        An inbound endpoint is `client:PORT` with our own port, since clients are many and none of
        them is a dependency. A socket that nobody can tell of is `socket`.
        """
        if inode not in self._known:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            ends = socket_ends(self._pid, descriptor)
            if ends is None:
                self._refresh()
            elif (lead := self._between(*ends)) is not _UNTOLD:  # not while it is connecting
                self._known[inode] = lead
        return self._known.get(inode, _UNTOLD)

    def _between(self, here: SocketName, there: SocketName) -> SocketLead:
        """The endpoint of a connection, from the names of its two ends."""
        if isinstance(here, str) or isinstance(there, str):
            path = there or here
            return SocketLead(f"unix:{path}" if isinstance(path, str) and path else "unix", False)
        if here is not None and self._is_listened_on(here[1]):
            return SocketLead(f"client:{here[1]}", True)
        return _UNTOLD if there is None else SocketLead(endpoint_name(*there[:2]), False)

    def _is_listened_on(self, port: int) -> bool:
        """Whether clients come to a port: those that are listened on seldom change."""
        now = time.monotonic()
        if port not in self._listening and now - self._listed_at > _LISTED_FOR:
            self._listed_at = now
            self._listening = frozenset(row.local_port for row in listening(self._pid))
        return port in self._listening

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._read_at < _REFRESH:
            return
        self._read_at = now
        tcp = tcp_sockets(self._pid)
        listened = frozenset(row.local_port for row in tcp if row.state == LISTEN)
        # A client asks its name server over UDP: that is a dependency too. The table has the same
        # columns.
        for row in (*_table(self._pid, "udp", "udp6"), *tcp):
            inbound = row.state == LISTEN or row.local_port in listened
            outbound = SocketLead(row.endpoint, False) if row.remote_port else _UNTOLD
            self._known[row.inode] = (
                SocketLead(f"client:{row.local_port}", True) if inbound else outbound
            )
        paths = unix_paths(self._pid)
        # A client's end has no name of its own: it takes the name of the end it is connected to.
        peers = {} if all(paths.values()) else unix_peers()
        for inode, path in paths.items():
            named = path or paths.get(peers.get(inode, 0), "")
            self._known[inode] = SocketLead(f"unix:{named}" if named else "unix", False)
