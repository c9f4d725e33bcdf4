"""What a thread in a system call is waiting for, by the call's number.

Numbers: the kernel's own tables, arch/x86/entry/syscalls/syscall_64.tbl and
include/uapi/asm-generic/unistd.h (aarch64).
"""

from __future__ import annotations

import platform
from enum import Enum
from types import MappingProxyType


class SyscallKind(Enum):
    """How the arguments of a call are to be read."""

    FUTEX = "futex"  # argument 0: address
    RECEIVE = "receive"  # argument 0: descriptor, waiting for bytes
    # Argument 0: descriptor, waiting for room, or for the other end to answer a connect.
    SEND = "send"
    ACCEPT = "accept"  # waiting for work
    EPOLL = "epoll"
    POLL = "poll"  # argument 0: pollfd array, 1: its length
    SELECT = "select"  # argument 0: highest descriptor + 1, 1..3: sets
    SLEEP = "sleep"
    FILE_LOCK = "file lock"  # argument 0: descriptor
    FCNTL = "fcntl"  # argument 0: descriptor, 1: command
    SEMAPHORE = "semaphore"
    STORAGE = "storage"  # argument 0: descriptor; only ever waits for a disk
    STORAGE_PATH = "storage path"  # works on a path


_X86_64 = {
    SyscallKind.FUTEX: (202, 449, 454, 455),
    SyscallKind.RECEIVE: (0, 17, 19, 45, 47, 295, 299, 327),
    SyscallKind.SEND: (1, 18, 20, 40, 42, 44, 46, 275, 296, 307, 328),
    SyscallKind.ACCEPT: (43, 288),
    SyscallKind.EPOLL: (232, 281, 441, 426),  # 426: io_uring_enter
    SyscallKind.POLL: (7, 271),
    SyscallKind.SELECT: (23, 270),
    SyscallKind.SLEEP: (35, 230, 34),
    SyscallKind.FILE_LOCK: (73,),
    SyscallKind.FCNTL: (72,),
    SyscallKind.SEMAPHORE: (65, 220),
    SyscallKind.STORAGE: (26, 74, 75, 77, 162, 187, 277, 285, 306),
    SyscallKind.STORAGE_PATH: (2, 76, 82, 83, 84, 85, 87, 257, 258, 263, 264, 316, 437),
}
_AARCH64 = {
    SyscallKind.FUTEX: (98, 449, 454, 455),
    SyscallKind.RECEIVE: (63, 65, 67, 69, 207, 212, 243, 286),
    SyscallKind.SEND: (64, 66, 68, 70, 71, 75, 76, 203, 206, 211, 269, 287),
    SyscallKind.ACCEPT: (202, 242),
    SyscallKind.EPOLL: (22, 441, 426),
    SyscallKind.POLL: (73,),
    SyscallKind.SELECT: (72,),
    SyscallKind.SLEEP: (101, 115),
    SyscallKind.FILE_LOCK: (32,),
    SyscallKind.FCNTL: (25,),
    SyscallKind.SEMAPHORE: (192, 193),
    SyscallKind.STORAGE: (46, 47, 81, 82, 83, 84, 213, 227, 267),
    SyscallKind.STORAGE_PATH: (34, 35, 38, 45, 56, 276, 437),
}
_TABLES = {"x86_64": _X86_64, "aarch64": _AARCH64}

# The fcntl commands that wait for a record lock: F_SETLKW, F_OFD_SETLKW (linux/fcntl.h).
WAITING_FCNTL = (7, 38)


def syscalls(machine: str = "") -> MappingProxyType[int, SyscallKind]:
    """Call numbers of an architecture (this one's when not said) to how they wait; empty when it is
    not known.
    """
    table = _TABLES.get(machine or platform.machine(), {})
    return MappingProxyType({number: kind for kind, numbers in table.items() for number in numbers})
