"""Memory that is looked at again and again: which of it changed since the last time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from perfhunt.model.units import Bytes
from perfhunt.profilers.cpython.memory import ProcessMemory, Span

# A tile holds several objects: things made together lie together, and one long read costs less than
# several short ones. It is less than a page, so it is mapped whole or not at all.
TILE: Bytes = 1024


class Tiles:
    """Tiles of one process's memory as they were when last read; what could not be read is zero."""

    def __init__(self, memory: ProcessMemory) -> None:
        self._memory = memory
        self._held: dict[int, bytes] = {}

    def renew(self, tiles: Iterable[int]) -> set[int]:
        """Read these tiles, and hold no others; those that are not as they were held."""
        wanted = sorted(tiles)
        raw = self._memory.together(_runs(wanted))
        held = {tile: raw[at * TILE : (at + 1) * TILE] for at, tile in enumerate(wanted)}
        before, self._held = self._held, held
        return {tile for tile, content in held.items() if before.get(tile) != content}

    def read(self, address: int, size: Bytes) -> bytes:
        """What the held tiles have of a piece; shorter, or empty, where one of them is not held."""
        first, at = divmod(address, TILE)
        if at + size <= TILE:
            return self._held.get(first, b"")[at : at + size]
        tiles = tiles_of(address, size)
        return b"".join(self._held.get(tile, b"") for tile in tiles)[at : at + size]


def tiles_of(address: int, size: Bytes) -> range:
    """The tiles that a piece of memory lies in."""
    return range(address // TILE, (address + size - 1) // TILE + 1)


def _runs(tiles: Sequence[int]) -> list[Span]:
    """The tiles, which are in order, as pieces: neighbours are one."""
    ends = [at + 1 for at, (one, other) in enumerate(pairwise(tiles)) if other != one + 1]
    bounds = pairwise([0, *ends, len(tiles)])
    return [(tiles[begin] * TILE, (end - begin) * TILE) for begin, end in bounds if begin < end]
