"""What a process has in memory of what it may write to, and where in it certain words are."""

from __future__ import annotations

import os
from array import array
from collections.abc import Collection, Iterator
from itertools import groupby

from perfhunt.model.units import Bytes
from perfhunt.target.proc.files import text
from perfhunt.target.proc.memory import WORD, Extent, ProcessMemory
from perfhunt.target.proc.process import PAGE

try:
    import numpy as np
except ImportError:  # where only the half of perfhunt runs that looks
    COMPARES = False
else:
    COMPARES = True  # words, ten times as fast as bytes are found

_PIECE: Bytes = 8 << 20  # searched at once
_THERE = 62  # of an entry of pagemap, the lowest of the bits "swapped" and "present" (proc(5))


class ResidentMemory:
    """The pages that there were at the last `renew`. What was never touched (of a thread's stack,
    say) is not read: that would make pages of it.
    """

    def __init__(self, memory: ProcessMemory) -> None:
        self._memory = memory
        self._extents: list[Extent] = []

    def renew(self) -> Bytes:
        """Look again at what there is; its size."""
        mappings = text(f"/proc/{self._memory.pid}/maps").splitlines()
        try:
            pages = os.open(f"/proc/{self._memory.pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            pages = -1
        self._extents = [piece for line in mappings for piece in _pieces(line, pages)]
        if pages >= 0:
            os.close(pages)
        return sum(size for _, size in self._extents)

    def holding(self, values: Collection[int]) -> Iterator[tuple[int, int]]:
        """(where, which) of every aligned word that is one of these."""
        for begin, size in self._extents:
            for at in range(begin, begin + size, _PIECE):
                raw = self._memory.read(at, min(_PIECE, begin + size - at))
                for value in values:
                    yield from ((at + found, value) for found in _places(raw, value))


def _places(raw: bytes, value: int) -> Iterator[int]:
    """Where in some memory an aligned word is."""
    if COMPARES:
        words = np.frombuffer(raw, "<u8", len(raw) // WORD)
        yield from (np.flatnonzero(words == value) * WORD).tolist()
        return
    word = value.to_bytes(WORD, "little")  # which is found faster than words are compared
    found = raw.find(word)
    while found >= 0:
        if found % WORD == 0:
            yield found
        found = raw.find(word, found + 1)


def _pieces(line: str, pages: int) -> Iterator[Extent]:
    """The parts of a mapping that are in memory; the whole where nobody may know. None of one that
    is shared or may not be written to.
    """
    field = line.split(maxsplit=2)
    if not field[1].startswith("rw") or not field[1].endswith("p"):
        return
    begin, end = (int(part, 16) for part in field[0].split("-"))
    there = _there(begin, end, pages)
    if there is None:
        yield begin, end - begin
        return
    at = begin
    for is_there, run in groupby(there):
        size = len(list(run)) * PAGE
        if is_there:
            yield at, size
        at += size


def _there(begin: int, end: int, pages: int) -> list[bool] | None:
    """Of each page whether it is in memory, or was swapped out."""
    count = (end - begin) // PAGE
    try:
        raw = os.pread(pages, count * WORD, begin // PAGE * WORD)
    except OSError:
        return None
    if len(raw) < count * WORD:
        return None
    return [entry >> _THERE != 0 for entry in array("Q", raw)]
