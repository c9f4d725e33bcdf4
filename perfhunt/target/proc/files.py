"""Reading the small files that the kernel makes up as they are read, and those beside a target."""

from __future__ import annotations

import errno
import os
import re
import select
import stat
import time
from collections.abc import Callable, Iterator
from functools import partial

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import read_all
from perfhunt.model.units import Bytes, Seconds

# A process has 65,530 mappings at most unless told otherwise, of 100 to 200 bytes each in its maps;
# a host of a million sockets has 150 MB of them in its tables.
LARGEST: Bytes = 256 << 20
_PIECE: Bytes = 1 << 20  # of a file that is searched
_PAGE: Bytes = 4096  # what is looked at before and behind a piece
_LARGEST_PIECE: Bytes = 1 << 30  # tables of names have some hundred MiB in the largest programs


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


class FileBytes:
    """The bytes of a file, read as they are asked for. Whoever cuts the file short meanwhile leaves
    fewer of them; where they were mapped, we would end with SIGBUS.
    """

    def __init__(self, path: str) -> None:
        """Raises OSError, also for what is no file: a pipe is not waited for."""
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            self.close()
            raise OSError(errno.EINVAL, "not a file", path)

    def __enter__(self) -> FileBytes:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go. Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def at(self, offset: Bytes, size: Bytes) -> bytes:
        """So many bytes from there on; fewer where the file ends, or cannot be read further."""
        try:
            size = min(size, os.fstat(self._fd).st_size - offset, _LARGEST_PIECE)
            return os.pread(self._fd, size, offset) if size > 0 else b""
        except OSError:
            return b""

    def find(self, word: bytes, begin: Bytes = 0) -> int:
        """Where a word stands first, from there on; -1 when it does not."""
        while piece := self.at(begin, _PIECE + len(word) - 1):
            if (at := piece.find(word)) >= 0:
                return begin + at
            begin += _PIECE
        return -1

    def pieces(self) -> Iterator[bytes]:
        """The whole, in the order of the file."""
        offset = 0
        while piece := self.at(offset, _PIECE):
            yield piece
            offset += len(piece)

    def matches(self, pattern: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
        """Where a pattern matches; its matches are shorter than a page of memory."""
        offset = 0
        while len(piece := self.at(begin := max(0, offset - _PAGE), _PIECE + 2 * _PAGE)) > (
            first := offset - begin
        ):
            found = pattern.finditer(piece, first)
            yield from (match for match in found if match.start() < first + _PIECE)
            offset += _PIECE


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
