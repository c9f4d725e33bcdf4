"""The memory of another process, many pieces of it at a time."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Sequence
from itertools import chain
from typing import TypeAlias

from perfhunt.model.units import Bytes

WORD: Bytes = 8
_WORD = struct.Struct("<Q")
# The part of a word that is an address: objects are aligned, so that the lowest bits may be flags.
POINTER = ~7

Span: TypeAlias = tuple[int, Bytes]  # where a piece begins, and how long it is

_READV = getattr(ctypes.CDLL(None, use_errno=True), "process_vm_readv", None)
if _READV is not None:
    _WORDS, _ADDRESS = ctypes.c_ulong, ctypes.c_void_p
    _READV.argtypes = [ctypes.c_int, _ADDRESS, _WORDS, ctypes.c_char_p, _WORDS, _WORDS]
    _READV.restype = ctypes.c_ssize_t
_MOST_PIECES = 1024  # of one call: IOV_MAX, limits.h
_ROOM: Bytes = 1 << 18  # what most looks at hundreds of tasks fit into
# This kernel, or the sandbox around us, does not have the call; single reads may still work.
_REFUSED = (errno.EPERM, errno.ENOSYS)


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

    def together(self, spans: Sequence[Span]) -> bytes:
        """All the pieces, one after the other, with zeros for what cannot be read: one system call
        for a thousand of them, and a fifth of what as many reads cost.
        """
        pieces, at = [], 0
        while at < len(spans):
            some = spans[at : at + _MOST_PIECES]
            whole, raw = self._batch(some) if self._batches else (0, b"")
            pieces.append(raw)
            at += whole
            if whole < len(some):  # The next one is the first that could not be read whole.
                address, size = spans[at]
                pieces.append(self.read(address, size).ljust(size, b"\0"))
                at += 1
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _batch(self, spans: Sequence[Span]) -> tuple[int, bytes]:
        """(how many of the pieces could be read whole, they themselves)."""
        flat = tuple(chain.from_iterable(spans))
        total = sum(flat[1::2])
        if total > len(self._room):
            self._make_room(2 * total)
        try:
            remote = struct.pack(f"<{len(flat)}Q", *flat)
        except struct.error:  # One of them is no address.
            return 0, b""
        read = _READV(self.pid, self._local, 1, remote, len(spans), 0)
        if read == total:
            return len(spans), self._room[:total].tobytes()
        if read < 0:
            self._batches = ctypes.get_errno() not in _REFUSED
            return 0, b""
        whole, end = 0, 0
        while end + spans[whole][1] <= read:
            end += spans[whole][1]
            whole += 1
        return whole, self._room[:end].tobytes()

    def _make_room(self, size: Bytes) -> None:
        buffer = ctypes.create_string_buffer(size)
        self._room = memoryview(buffer)
        self._local = struct.pack("<QQ", ctypes.addressof(buffer), size)


def word_at(raw: bytes, at: int) -> int:
    """The 64-bit word so many bytes into what was read. Raises struct.error beyond its end."""
    return int(_WORD.unpack_from(raw, at)[0])


def pointer(word: int) -> int:
    """The address in a word, without its flags."""
    return word & POINTER
