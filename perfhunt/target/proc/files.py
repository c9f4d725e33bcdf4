"""Reading the small files that the kernel makes up as they are read, and those beside a target."""

from __future__ import annotations

import errno
import mmap
import os
import select
import stat
import time
from collections.abc import Callable
from functools import partial

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import read_all
from perfhunt.model.units import Bytes, Seconds

# A process has 65,530 mappings at most unless told otherwise, of 100 to 200 bytes each in its maps;
# a host of a million sockets has 150 MB of them in its tables.
LARGEST: Bytes = 256 << 20


def read(path: str, most: Bytes = LARGEST) -> bytes:
    """The whole of a /proc file, or of another. Raises OSError (ProcessLookupError or
    FileNotFoundError when its owner is gone), also for one larger than `most`. A pipe is no file:
    nobody is waited for.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return read_all(partial(os.read, fd), most, path)
    except Unreadable as error:
        raise OSError(errno.EFBIG, error.message) from error
    finally:
        os.close(fd)


def tail(path: str | os.PathLike[str], most: Bytes) -> bytes:
    """The end of a file. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return os.pread(fd, most, max(0, os.fstat(fd).st_size - most))
    finally:
        os.close(fd)


def mapped(path: str) -> mmap.mmap:
    """The bytes of a file, mapped, for whoever closes it. Raises OSError, also for what is no file
    (a pipe is not waited for), and ValueError for an empty one.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a file", path)
        return mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
    finally:
        os.close(fd)


def reader_until(pipe: int, end: Seconds) -> Callable[[int], bytes]:
    """How to read from a pipe for as long as time.monotonic's clock is before `end`: it raises
    OSError when nothing has come by then.
    """
    ready = select.poll()
    ready.register(pipe, select.POLLIN)

    def read(most: int) -> bytes:
        if not ready.poll(max(0.0, end - time.monotonic()) * 1000):
            raise TimeoutError(errno.ETIMEDOUT, "it had not ended in time")
        return os.read(pipe, most)

    return read


def awaited(descriptor: int, within: Seconds | None) -> bool:
    """Whether a pipe or socket has something to read, or has ended, within so long (None: for
    ever). Unlike select(2) for a descriptor of any number: a run may hold thousands open.
    """
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    return bool(ready.poll(None if within is None else within * 1000))


def text(path: str | os.PathLike[str]) -> str:
    """The whole of a file as text without the white space around it; "" when it cannot be read."""
    try:
        return read(os.fspath(path)).decode(errors="replace").strip()
    except OSError:
        return ""


def number(path: str) -> int | None:
    """The first number of a file; None when it cannot be read or holds something else."""
    try:
        return int(read(path).split()[0])
    except (OSError, ValueError, IndexError):
        return None


def counters(path: str | os.PathLike[str]) -> dict[str, int]:
    """The lines `name count` of a file; others, and a file that cannot be read, are left out."""
    pairs = (line.split() for line in text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def link(pid: int, name: str) -> str:
    """Where a link of /proc/PID leads (`exe`, `fd/3`, `ns/net`); "" when it cannot be read."""
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""
