"""What /proc leaves out about sockets, asked of the kernel itself by sock_diag(7): who is at the
other end of a unix socket, and how long an accept queue may grow.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from perfhunt.model.units import Seconds

# linux/netlink.h
_NETLINK_SOCK_DIAG = 4
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR, _DONE = 2, 3  # NLMSG_ERROR, NLMSG_DONE
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_ERRNO = struct.Struct("=i")  # of struct nlmsgerr, less than 0
_DATAGRAM = 1 << 16  # bytes; netlink(7) sends no larger one
_ANSWER: Seconds = 1.0  # the kernel answers at once or not at all

# linux/sock_diag.h, linux/inet_diag.h, linux/unix_diag.h
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_ESTABLISHED, _LISTEN = 1, 10  # states; a request has a bit for each
_ANY_STATE = _NO_COOKIE = 0xFFFFFFFF
_IPV6_ONLY = 11  # INET_DIAG_SKV6ONLY, of every listening socket of IPv6 (Linux 4.3)
_SHOW_PEER, _PEER = 4, 2  # UDIAG_SHOW_PEER, UNIX_DIAG_PEER
_SHOW_QUEUE, _QUEUE = 16, 4  # UDIAG_SHOW_RQLEN, UNIX_DIAG_RQLEN
_UNIX_QUEUE = struct.Struct("=II")  # struct unix_diag_rqlen: of one that listens, as AcceptQueue
# struct inet_diag_req_v2: family, protocol, extensions, pad, states; then 48 bytes of address, of
# which the local port comes first, in network order: a dump leaves out sockets of other ports.
_INET_REQUEST = struct.Struct("=BBBBI")
_INET_ADDRESS = 48
# struct inet_diag_msg: family, state, timer, retransmissions; the address, which begins with both
# ports and goes on with the local and the remote host; then expires, rqueue, wqueue, uid, inode.
_INET_PORTS = struct.Struct("!HH")
_INET_HEAD, _INET_LONGEST = 4, 16
_INET_ANSWER = struct.Struct("=IIIII")
_INET_SKIPPED = _INET_HEAD + _INET_ADDRESS
# struct unix_diag_req: family, protocol, pad, states, inode, show, cookie of two words.
_UNIX_REQUEST = struct.Struct("=BBHIIIII")
# struct unix_diag_msg: family, type, state, pad, inode, cookie of two words; then attributes.
_UNIX_ANSWER = struct.Struct("=BBBBIII")
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr: length, type


class TcpRow(NamedTuple):
    """A TCP socket as the kernel says of it: its state (include/net/tcp_states.h), addresses of 4
    or 16 bytes, and bytes queued; of a listening socket, connections in its accept queue and the
    most there may be.
    """

    state: int
    local: bytes
    local_port: int
    remote: bytes
    remote_port: int
    receive_queue: int
    send_queue: int
    inode: int


class AcceptQueue(NamedTuple):
    """Connections that a listening socket has not accepted yet, and how many there may be; of a
    unix socket the port is 0.
    """

    port: int
    waiting: int
    backlog: int


def tcp_rows(*states: int, port: int = 0, ipv4_only: bool = False) -> list[TcpRow] | None:
    """The TCP sockets in these states of our own network namespace, those of one local port where
    one is named; None where netlink is refused.

    The kernel walks all its sockets once for each family: half a millisecond on a host with a
    large table. What it leaves out it does not write down, unlike /proc/net/tcp.
    """
    mask = sum(1 << state for state in states)
    local = struct.pack("!H", port).ljust(_INET_ADDRESS, b"\0")
    rows: list[TcpRow] = []
    for family in (socket.AF_INET,) if ipv4_only else (socket.AF_INET, socket.AF_INET6):
        request = _INET_REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, mask)
        size = 4 if family == socket.AF_INET else 16
        try:
            rows += [_row(message, size) for message in _dump(request + local)]
        except OSError:
            if family == socket.AF_INET:
                return None  # A kernel without IPv6 refuses the other.
    return rows


def _row(message: bytes, size: int) -> TcpRow:
    local_port, remote_port = _INET_PORTS.unpack_from(message, _INET_HEAD)
    _, receive, send, _, inode = _INET_ANSWER.unpack_from(message, _INET_SKIPPED)
    local, remote = _INET_HEAD + _INET_PORTS.size, _INET_HEAD + _INET_PORTS.size + _INET_LONGEST
    return TcpRow(
        state=message[1],
        local=message[local : local + size],
        local_port=local_port,
        remote=message[remote : remote + size],
        remote_port=remote_port,
        receive_queue=receive,
        send_queue=send,
        inode=inode,
    )


def ipv6_only_ports() -> frozenset[int]:
    """Ports that a socket of all IPv6 addresses listens on, and that IPv4 does not come to; none
    where netlink is refused.
    """
    request = _INET_REQUEST.pack(socket.AF_INET6, socket.IPPROTO_TCP, 0, 0, 1 << _LISTEN)
    ports = set()
    with suppress(OSError):
        for message in _dump(request + bytes(_INET_ADDRESS)):
            attributes = dict(_attributes(message[_INET_SKIPPED + _INET_ANSWER.size :]))
            if any(attributes.get(_IPV6_ONLY, b"")):
                ports.add(_INET_PORTS.unpack_from(message, _INET_HEAD)[0])
    return frozenset(ports)


def accept_queues() -> dict[int, AcceptQueue]:
    """By inode, for the listening sockets of our network namespace. Empty where netlink is
    refused.
    """
    rows = tcp_rows(_LISTEN) or ()
    return {
        row.inode: AcceptQueue(row.local_port, row.receive_queue, row.send_queue) for row in rows
    }


def unread_connections(port: int, *, ipv4_only: bool = False) -> int | None:
    """How many connections to a local port hold bytes that nobody has read, those that nobody has
    accepted included, in our own network namespace; None where netlink is refused.
    """
    rows = tcp_rows(_ESTABLISHED, port=port, ipv4_only=ipv4_only)
    return None if rows is None else sum(row.receive_queue > 0 for row in rows)


def unix_peers() -> dict[int, int]:
    """inode -> inode of the other end, for the connected unix sockets of our own network namespace;
    empty when refused.
    """
    found = _of_unix(_ANY_STATE, _SHOW_PEER, _PEER)
    return {inode: int.from_bytes(value[:4], sys.byteorder) for inode, value in found.items()}


def unix_queues() -> dict[int, AcceptQueue]:
    """As `accept_queues`, of the unix sockets that listen."""
    found = _of_unix(1 << _LISTEN, _SHOW_QUEUE, _QUEUE)
    return {
        inode: AcceptQueue(0, *_UNIX_QUEUE.unpack_from(value)) for inode, value in found.items()
    }


def _of_unix(states: int, show: int, wanted: int) -> dict[int, bytes]:
    """One attribute of each unix socket in these states, by inode; empty when refused."""
    request = _UNIX_REQUEST.pack(socket.AF_UNIX, 0, 0, states, 0, show, _NO_COOKIE, _NO_COOKIE)
    found: dict[int, bytes] = {}
    try:
        for message in _dump(request):
            inode = _UNIX_ANSWER.unpack_from(message)[4]
            for name, value in _attributes(message[_UNIX_ANSWER.size :]):
                if name == wanted:
                    found[inode] = value
    except OSError:
        return {}
    return found


def _dump(request: bytes) -> Iterator[bytes]:
    """The messages that answer a request, without their headers. Raises OSError, also when the
    kernel refuses it.
    """
    header = _HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, _REQUEST_DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as link:
        link.settimeout(_ANSWER)
        link.send(header + request)
        while datagram := link.recv(_DATAGRAM):
            at = 0
            while at + _HEADER.size <= len(datagram):
                length, kind, *_ = _HEADER.unpack_from(datagram, at)
                if kind == _ERROR and (
                    number := _ERRNO.unpack_from(datagram, at + _HEADER.size)[0]
                ):
                    raise OSError(-number, "sock_diag was refused")
                if kind in (_DONE, _ERROR) or length < _HEADER.size:
                    return
                yield datagram[at + _HEADER.size : at + length]
                at += _aligned(length)


def _attributes(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, value) of each attribute of a message."""
    at = 0
    while at + _ATTRIBUTE.size <= len(raw):
        size, name = _ATTRIBUTE.unpack_from(raw, at)
        if size < _ATTRIBUTE.size:
            return
        yield name, raw[at + _ATTRIBUTE.size : at + size]
        at += _aligned(size)


def _aligned(size: int) -> int:
    """Where the next message or attribute begins: both start at multiples of four bytes."""
    return (size + 3) & ~3
