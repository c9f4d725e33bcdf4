"""The memory of another process, many pieces of it at a time."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias

from perfhunt.model.units import Bytes

WORD: Bytes = 8
_WORD = struct.Struct("<Q")
# The part of a word that is an address: objects are aligned, so that the lowest bits may be flags.
POINTER = ~7

Extent: TypeAlias = tuple[int, Bytes]  # where a piece begins, and how long it is

_READV: Any = getattr(ctypes.CDLL(None, use_errno=True), "process_vm_readv", None)
if _READV is not None:
    _WORDS, _ADDRESS = ctypes.c_ulong, ctypes.c_void_p
    _READV.argtypes = [ctypes.c_int, _ADDRESS, _WORDS, ctypes.c_char_p, _WORDS, _WORDS]
    _READV.restype = ctypes.c_ssize_t
_MOST_PIECES = 1024  # of one call: IOV_MAX, limits.h
_PIECE: Bytes = 16  # struct iovec
_LARGEST = (1 << 64) - 1  # word
_ROOM: Bytes = 1 << 18  # what most looks at hundreds of tasks fit into
# This kernel, or the sandbox around us, does not have the call; single reads may still work.
_REFUSED = (errno.EPERM, errno.ENOSYS)


@dataclass(frozen=True, slots=True)
class Batch:
    """Pieces that are read with one call, and the kernel's own word for them."""

    spans: Sequence[Extent]
    remote: bytes
    total: Bytes

    @staticmethod
    def of(spans: Sequence[Extent]) -> Batch:
        """These pieces; what is no address counts as one that nothing is mapped at."""
        flat = [number & _LARGEST for span in spans for number in span]
        return Batch(spans, struct.pack(f"<{len(flat)}Q", *flat), sum(flat[1::2]))


class ProcessMemory:
    """Reads of one process's memory, which never stop it; what cannot be read is empty or 0."""

    _batches = False  # whether many pieces can be had with one call

    def __init__(self, pid: int) -> None:
        """Raises OSError when the memory may not be read, or the process is gone."""
        self.pid = pid
        self._file = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        self._batches = _READV is not None
        self._make_room(_ROOM)

    def close(self) -> None:
        """Let it go. Idempotent."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def lasts(self, address: int) -> bool:
        """Whether it is still the memory that was opened, by an address that was mapped in it: that
        of a process that ended, or executed another program (execve(2)), is gone.
        """
        return bool(self.read(address, 1))

    def read(self, address: int, size: Bytes) -> bytes:
        """Up to `size` bytes; fewer where the mapping ends, none where nothing is mapped."""
        try:
            return os.pread(self._file, size, address)
        except (OSError, OverflowError):
            return b""

    def words(self, address: int, count: int) -> tuple[int, ...]:
        """Up to `count` 64-bit words, little endian."""
        raw = self.read(address, count * WORD)
        return struct.unpack_from(f"<{len(raw) // WORD}Q", raw)

    def word(self, address: int) -> int:
        """One 64-bit word; 0 when it cannot be read."""
        raw = self.read(address, WORD)
        return int(_WORD.unpack(raw)[0]) if len(raw) == WORD else 0

    def together(self, pieces: Sequence[Extent] | Batch) -> bytes:
        """All the pieces, one after the other, with zeros for what cannot be read: one system call
        for a thousand of them, and a fraction of what as many reads cost.
        """
        batch = pieces if isinstance(pieces, Batch) else Batch.of(pieces)
        spans, read, at = batch.spans, [], 0
        while at < len(spans):
            end = min(at + _MOST_PIECES, len(spans))
            whole, raw = self._batch(batch, at, end) if self._batches else (at, b"")
            read.append(raw)
            at = whole
            if at < end:  # It is the first that could not be read whole.
                address, size = spans[at]
                read.append(self.read(address, size).ljust(size, b"\0"))
                at += 1
        return read[0] if len(read) == 1 else b"".join(read)

    def _batch(self, batch: Batch, begin: int, end: int) -> tuple[int, bytes]:
        """(the first of these pieces that could not be read whole, those before it)."""
        spans, total = batch.spans, batch.total
        if end - begin < len(spans):
            spans = spans[begin:end]
            total = sum(size for _, size in spans)
        if total > len(self._room):
            self._make_room(2 * total)
        remote = batch.remote[begin * _PIECE : end * _PIECE]
        read = _READV(self.pid, self._local, 1, remote, end - begin, 0)
        if read == total:
            return end, self._room[:total].tobytes()
        if read < 0:
            self._batches = ctypes.get_errno() not in _REFUSED
            return begin, b""
        whole = 0
        for _, size in spans:
            if whole + size > read:
                break
            whole += size
            begin += 1
        return begin, self._room[:whole].tobytes()

    def _make_room(self, size: Bytes) -> None:
        buffer = ctypes.create_string_buffer(size)
        self._room = memoryview(buffer)
        self._local = struct.pack("<QQ", ctypes.addressof(buffer), size)


def word_at(raw: bytes, at: int) -> int:
    """The 64-bit word so many bytes into what was read. Raises struct.error beyond its end."""
    return int(_WORD.unpack_from(raw, at)[0])


def fields_at(*offsets: int) -> Callable[[bytes], tuple[int, ...]]:
    """What takes the words at some offsets, in their order, out of what was read, in one go.

    Words may not overlap: a ValueError. What it makes raises struct.error where too little was
    read.
    """
    ascending = sorted(offsets)
    begins = (0, *(offset + WORD for offset in ascending))
    gaps = [offset - begin for offset, begin in zip(ascending, begins, strict=False)]
    if min(gaps) < 0:
        raise ValueError(f"Words at {ascending} would overlap")
    unpack = struct.Struct("<" + "".join(f"{gap}xQ" for gap in gaps)).unpack_from
    order = itemgetter(*(ascending.index(offset) for offset in offsets))
    return lambda raw: order(unpack(raw))


def pointer(word: int) -> int:
    """The address in a word, without its flags."""
    return word & POINTER
