"""The memory of another process, a piece at a time."""

from __future__ import annotations

import os
import struct

from perfhunt.model.units import Bytes

WORD: Bytes = 8
_WORD = struct.Struct("<Q")
# The part of a word that is an address: objects are aligned, so that the lowest bits may be flags.
POINTER = ~7


class ProcessMemory:
    """Reads of one process's memory, which never stop it; what cannot be read is empty or 0."""

    def __init__(self, pid: int) -> None:
        """Raises OSError when the memory may not be read, or the process is gone."""
        self.pid = pid
        self._file = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)

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


def word_at(raw: bytes, at: int) -> int:
    """The 64-bit word so many bytes into what was read. Raises struct.error beyond its end."""
    return int(_WORD.unpack_from(raw, at)[0])


def fields_at(*offsets: int) -> struct.Struct:
    """What unpacks the words at some offsets (ascending, at least a word apart) in one go."""
    begins = (0, *(offset + WORD for offset in offsets))
    gaps = (offset - begin for offset, begin in zip(offsets, begins, strict=False))
    return struct.Struct("<" + "".join(f"{gap}xQ" for gap in gaps))


def pointer(word: int) -> int:
    """The address in a word, without its flags."""
    return word & POINTER
