"""Who is at the other end of a unix socket: /proc names only the server's end, so the kernel is
asked by sock_diag(7).
"""

from __future__ import annotations

import socket
import struct

_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY = 4, 20
_REQUEST, _DUMP = 0x1, 0x300  # NLM_F_REQUEST, NLM_F_DUMP
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_SHOW_PEER, _ATTRIBUTE_PEER = 4, 2  # UDIAG_SHOW_PEER, UNIX_DIAG_PEER (linux/unix_diag.h)
_ANY_STATE = 0xFFFFFFFF


def unix_peers() -> dict[int, int]:
    """inode -> inode of the other end, for the connected unix sockets of our own network namespace;
    empty when refused.
    """
    request = struct.pack(
        "=BBHIIIII", socket.AF_UNIX, 0, 0, _ANY_STATE, 0, _SHOW_PEER, 0xFFFFFFFF, 0xFFFFFFFF
    )
    header = struct.pack("=IHHII", 16 + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST | _DUMP, 1, 0)
    found: dict[int, int] = {}
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as link:
            link.settimeout(1.0)
            link.send(header + request)
            while _take(link.recv(1 << 16), found):
                pass
    except OSError:
        return {}
    return found


def _take(answer: bytes, found: dict[int, int]) -> bool:
    """Add the sockets of one datagram; whether more follow."""
    at = 0
    while at + 16 <= len(answer):
        length, kind = struct.unpack_from("=IH", answer, at)
        if kind in (_NLMSG_DONE, _NLMSG_ERROR) or length < 16:
            return False
        # struct unix_diag_msg: family, type, state, pad, inode, cookie[2]; then attributes.
        (inode,) = struct.unpack_from("=I", answer, at + 16 + 4)
        attribute = at + 16 + 16
        while attribute + 4 <= at + length:
            size, name = struct.unpack_from("=HH", answer, attribute)
            if size < 4:
                break
            if name == _ATTRIBUTE_PEER:
                (found[inode],) = struct.unpack_from("=I", answer, attribute + 4)
            attribute += (size + 3) & ~3
        at += (length + 3) & ~3
    return bool(answer)
