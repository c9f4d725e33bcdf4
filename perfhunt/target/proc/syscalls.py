"""What a thread in a system call is waiting for, by the call's number.

Numbers: the kernel's own tables, arch/x86/entry/syscalls/syscall_64.tbl and
include/uapi/asm-generic/unistd.h (aarch64).
"""

from __future__ import annotations

import platform
from enum import Enum
from types import MappingProxyType


class Call(Enum):
    """How the arguments of a call are to be read."""

    FUTEX = "futex"  # argument 0: address
    RECEIVE = "receive"  # argument 0: descriptor, waiting for bytes
    SEND = (
        "send"  # argument 0: descriptor, waiting for room, or for the other end to answer a connect
    )
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
    Call.FUTEX: (202, 449, 454, 455),
    Call.RECEIVE: (0, 17, 19, 45, 47, 295, 299, 327),
    Call.SEND: (1, 18, 20, 40, 42, 44, 46, 275, 296, 307, 328),
    Call.ACCEPT: (43, 288),
    Call.EPOLL: (232, 281, 441, 426),  # 426: io_uring_enter
    Call.POLL: (7, 271),
    Call.SELECT: (23, 270),
    Call.SLEEP: (35, 230, 34),
    Call.FILE_LOCK: (73,),
    Call.FCNTL: (72,),
    Call.SEMAPHORE: (65, 220),
    Call.STORAGE: (26, 74, 75, 77, 162, 187, 277, 285, 306),
    Call.STORAGE_PATH: (2, 76, 82, 83, 84, 85, 87, 257, 258, 263, 264, 316, 437),
}
_AARCH64 = {
    Call.FUTEX: (98, 449, 454, 455),
    Call.RECEIVE: (63, 65, 67, 69, 207, 212, 243, 286),
    Call.SEND: (64, 66, 68, 70, 71, 75, 76, 203, 206, 211, 269, 287),
    Call.ACCEPT: (202, 242),
    Call.EPOLL: (22, 441, 426),
    Call.POLL: (73,),
    Call.SELECT: (72,),
    Call.SLEEP: (101, 115),
    Call.FILE_LOCK: (32,),
    Call.FCNTL: (25,),
    Call.SEMAPHORE: (192, 193),
    Call.STORAGE: (46, 47, 81, 82, 83, 84, 213, 227, 267),
    Call.STORAGE_PATH: (34, 35, 38, 45, 56, 276, 437),
}
_TABLES = {"x86_64": _X86_64, "aarch64": _AARCH64}

F_SETLKW = (7, 38)  # fcntl commands that wait for a record lock: F_SETLKW, F_OFD_SETLKW


def calls(machine: str = "") -> MappingProxyType[int, Call]:
    """Call numbers of an architecture (this one's when not said) to how they wait; empty when it is
    not known.
    """
    table = _TABLES.get(machine or platform.machine(), {})
    return MappingProxyType({number: call for call, numbers in table.items() for number in numbers})
