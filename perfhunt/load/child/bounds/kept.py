"""What a load program is kept to by the kernel: it ends with this process, and connects by TCP to
the ports that it is given only.

The ports are Landlock's (Linux 6.7); it takes no rights to use and cannot be undone by the program.
Addresses are not: programs are told by their own options which they may use, and are read for where
they went.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_GIVE_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_NETWORK_SINCE = 4  # of Landlock's own versions
_CONNECT_TCP = 1 << 1  # LANDLOCK_ACCESS_NET_CONNECT_TCP
_NET_PORT = 2  # LANDLOCK_RULE_NET_PORT


def ports_can_be_kept() -> bool:
    """Whether this kernel keeps a process to some ports."""
    return _syscall(_CREATE_RULESET, None, 0, _GIVE_VERSION) >= _NETWORK_SINCE


@contextmanager
def kept_to(ports: Collection[int]) -> Iterator[Callable[[], None]]:
    """What a program that is started within does before it begins (`preexec_fn`). Everything that
    can fail is done here, for the other side of a fork is no place for it. Where ports cannot be
    kept, they are not. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    ruleset = _ruleset(ports) if ports_can_be_kept() else -1

    def restrict() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # which this process ignores
        if ruleset >= 0:
            libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            if libc.syscall(_RESTRICT_SELF, ruleset, 0):
                os._exit(126)

    try:
        yield restrict
    finally:
        if ruleset >= 0:
            os.close(ruleset)


def _ruleset(ports: Collection[int]) -> int:
    """A descriptor of the rule that only these ports are connected to. Raises OSError."""
    handled = struct.pack("QQ", 0, _CONNECT_TCP)  # landlock_ruleset_attr: fs, net
    descriptor = _syscall(_CREATE_RULESET, handled, len(handled), 0)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    for port in ports:
        rule = struct.pack("QQ", _CONNECT_TCP, port)  # landlock_net_port_attr
        if _syscall(_ADD_RULE, descriptor, _NET_PORT, rule, 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return descriptor


def _syscall(number: int, *arguments: object) -> int:
    return int(ctypes.CDLL(None, use_errno=True).syscall(number, *arguments))
