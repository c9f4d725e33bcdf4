"""The namespaces a process lives in, as against those of whoever asks (namespaces(7)): told apart,
and one of them entered.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from perfhunt.target.proc.files import link, text

_libc = ctypes.CDLL(None, use_errno=True)
# Of this very thread: a namespace is entered by one thread, and those that it starts.
_OURS = "/proc/thread-self/ns/"


class Namespace(StrEnum):
    """The kinds that matter here, by their names in /proc/PID/ns."""

    NETWORK = "net"
    MOUNTS = "mnt"
    PIDS = "pid"
    USERS = "user"
    IPC = "ipc"


def lives_apart(pid: int, kind: Namespace) -> bool:
    """Whether a process is known to live in another namespace of a kind than this thread does."""
    theirs = link(pid, f"ns/{kind}")
    try:
        return bool(theirs) and theirs != os.readlink(f"{_OURS}{kind}")
    except OSError:
        return False


def shares_files(pid: int) -> bool:
    """Whether the paths of a process mean the same to us: not those of a container with a root of
    its own.
    """
    return link(pid, "root") in ("/", "") and not lives_apart(pid, Namespace.MOUNTS)


def inner_ids(pid: int, ids: tuple[int, int]) -> tuple[int, int]:
    """A uid and a gid of ours as the user namespace of a process numbers them (its `uid_map` and
    `gid_map`, user_namespaces(7)). Raises PermissionError for one that it does not have.
    """
    uid, gid = (
        _inner(text(f"/proc/{pid}/{name}"), number)
        for name, number in zip(("uid_map", "gid_map"), ids, strict=True)
    )
    return uid, gid


def _inner(mapped: str, number: int) -> int:
    for line in mapped.splitlines():
        inside, outside, count = map(int, line.split())
        if outside <= number < outside + count:
            return inside + number - outside
    raise PermissionError(errno.EPERM, f"the user namespace has no number for {number}")


@contextmanager
def in_network_of(pid: int) -> Iterator[None]:
    """This thread, and every thread and process that it starts in the block, in the network
    namespace of a process. Raises OSError where that may not be entered (it takes CAP_SYS_ADMIN).
    """
    home = os.open(f"{_OURS}{Namespace.NETWORK}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(f"/proc/{pid}/ns/{Namespace.NETWORK}")
        try:
            yield
        finally:
            _set(home)
    finally:
        os.close(home)


def _enter(namespace: str) -> None:
    there = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _set(there)
    finally:
        os.close(there)


def _set(namespace: int) -> None:
    if _libc.setns(namespace, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
