"""The namespaces a process lives in, as against those of whoever asks (namespaces(7)): told apart,
and one of them entered.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from enum import StrEnum
from pathlib import Path, PurePath

from perfhunt.target.proc.files import link, text

_libc = ctypes.CDLL(None, use_errno=True)
# Of this very thread: a namespace is entered by one thread, and those that it starts.
_NOWHERE = Path("/proc/0")  # the number of no process
_OPENAT2 = 437  # the same number on every architecture
_HOW = struct.Struct("QQQ")  # struct open_how: flags, mode, resolve
_RESOLVE_IN_ROOT = 0x10  # linux/openat2.h
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


def inner_uid(pid: int) -> int:
    """What a process is called by its own user namespace; -1 when it is gone."""
    ids = text(f"/proc/{pid}/status").partition("\nUid:")[2].split(maxsplit=2)
    return _inner(text(f"/proc/{pid}/uid_map"), int(ids[1])) if ids else -1


def _inner(mapped: str, number: int) -> int:
    for line in mapped.splitlines():
        inside, outside, count = map(int, line.split())
        if outside <= number < outside + count:
            return inside + number - outside
    raise PermissionError(errno.EPERM, f"the user namespace has no number for {number}")


def open_within(pid: int, path: str, flags: int = os.O_RDONLY) -> int:
    """A descriptor of what a path means to a process: its links, which may lead anywhere, lead
    within its own root (openat2(2), Linux 5.6). Raises OSError.
    """
    root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_CLOEXEC)
    try:
        # Nobody is waited for; but what is not opened for reading may not say so.
        unwaited = 0 if flags & os.O_PATH else os.O_NONBLOCK
        how = _HOW.pack(flags | os.O_CLOEXEC | unwaited, 0, _RESOLVE_IN_ROOT)
        opened = int(_libc.syscall(_OPENAT2, root, os.fsencode(path), how, len(how)))
    finally:
        os.close(root)
    if opened < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return opened


def seen_from_here(pid: int, path: str | PurePath) -> Path:
    """A path of ours to what an absolute path means to a process, whose links were followed within
    its own root: by ours, an absolute one in a container would lead to a file of the host.
    """
    root, whole = Path(f"/proc/{pid}/root"), PurePath(path)
    for at in () if shares_files(pid) else (whole, *whole.parents):
        if (real := _real(pid, at)) is not None:
            below = os.path.relpath(real, link(pid, "root") or "/")
            return root / below / whole.relative_to(at)
        if _real(pid, at, os.O_NOFOLLOW) is not None:
            return _NOWHERE / at.name  # a link that leads to nothing there
    return root / str(path).lstrip("/")


def _real(pid: int, path: PurePath, flags: int = 0) -> str | None:
    """The path without links of what a process has there; None when it has nothing there."""
    try:
        descriptor = open_within(pid, str(path), os.O_PATH | flags)
    except OSError:
        return None
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def move_out(pid: int, path: PurePath, to: Path) -> None:
    """The file that a process has at a path, if it has one there, taken to a place of ours."""
    with suppress(OSError):
        with open(open_within(pid, str(path)), "rb") as inside, to.open("wb") as outside:
            shutil.copyfileobj(inside, outside)
        directory = open_within(pid, str(path.parent), os.O_PATH | os.O_DIRECTORY)
        try:
            os.unlink(path.name, dir_fd=directory)
        finally:
            os.close(directory)


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


@contextmanager
def reaching(pid: int) -> Iterator[None]:
    """As `in_network_of`, where a process lives in another network and that may be entered: its
    own ports are then those of 127.0.0.1.
    """
    with ExitStack() as stack:
        if lives_apart(pid, Namespace.NETWORK):
            with suppress(OSError):
                stack.enter_context(in_network_of(pid))
        yield


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
