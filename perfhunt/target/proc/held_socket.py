"""The two ends of a socket that another process holds, asked of the socket itself.

Linux gives a copy of another process's descriptor to whoever may trace it (pidfd_getfd(2), Linux
5.6). That takes microseconds, where the table of all sockets takes milliseconds whatever is in it.
The copy is closed again at once: a connection lives on while any copy is open.
"""

from __future__ import annotations

import ctypes
import os
import socket
from contextlib import suppress
from typing import TypeAlias

# (host, port, ...) of an internet socket; the path of a unix socket, "" without one; None: no end.
SocketName: TypeAlias = tuple[str, int] | str | None

_PIDFD_GETFD = 438  # the same number on every architecture
_libc = ctypes.CDLL(None, use_errno=True)


def socket_ends(pid: int, descriptor: int) -> tuple[SocketName, SocketName] | None:
    """(own, other) name of a socket of `pid` by its descriptor there; None when that cannot be
    told: the process may not be traced, the kernel is old, or it is no socket any more.
    """
    if socket.getdefaulttimeout() is not None:
        return None  # Python would make the target's own socket one that does not block.
    copy = _copied(pid, descriptor & 0xFFFFFFFF)
    if copy < 0:
        return None
    try:
        held = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        return None
    with held:
        try:
            own, other = _name(held.getsockname()), None
            with suppress(OSError):  # one that listens, or is not connected
                other = _name(held.getpeername())
        except OSError:
            return None
        return own, other


def _copied(pid: int, descriptor: int) -> int:
    """A copy of another process's descriptor; -1 when there is none to have."""
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return -1
    try:
        return int(_libc.syscall(_PIDFD_GETFD, process, descriptor, 0))
    finally:
        os.close(process)


def _name(raw: object) -> SocketName:
    if isinstance(raw, tuple):
        return str(raw[0]), int(raw[1])
    if isinstance(raw, bytes):  # of the abstract name space
        return "@" + raw[1:].decode(errors="replace")
    return str(raw)
