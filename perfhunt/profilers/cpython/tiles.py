"""Memory that is looked at again and again: which of it changed since the last time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import pairwise

from perfhunt.model.units import Bytes
from perfhunt.target.proc.memory import Batch, Extent, ProcessMemory

# A tile holds several objects: things made together lie together, and one long read costs less than
# several short ones. It is less than a page, so it is mapped whole or not at all.
TILE: Bytes = 1024


class Tiles:
    """Tiles of one process's memory as they were when last read; what could not be read is zero."""

    def __init__(self, memory: ProcessMemory) -> None:
        self._memory = memory
        self._runs = Batch.of([])
        self._places: dict[int, Bytes] = {}  # where in what was read each tile begins
        self._raw = b""

    def renew(self, tiles: Set[int]) -> set[int]:
        """Read these tiles, and hold no others; those that are not as they were held."""
        places, before = self._places, self._raw
        if tiles != places.keys():
            self._runs = Batch.of(_runs(sorted(tiles)))
            self._places = {tile: at * TILE for at, tile in enumerate(sorted(tiles))}
        self._raw = raw = self._memory.together(self._runs)
        suspects = self._places if self._places is not places else self._in_changed_runs(before)
        changed = set()
        for tile in suspects:
            at, was = self._places[tile], places.get(tile)
            if was is None or raw[at : at + TILE] != before[was : was + TILE]:
                changed.add(tile)
        return changed

    def read(self, address: int, size: Bytes) -> bytes:
        """What the held tiles, which must be those that it lies in, have of a piece; b"" where its
        first is not held.
        """
        tile, within = divmod(address, TILE)
        if tile not in self._places:
            return b""
        at = self._places[tile] + within
        return self._raw[at : at + size]

    def _in_changed_runs(self, before: bytes) -> Iterator[int]:
        at = 0
        for address, size in self._runs.spans:
            if self._raw[at : at + size] != before[at : at + size]:
                yield from tiles_of(address, size)
            at += size


def tiles_of(address: int, size: Bytes) -> range:
    """The tiles that a piece of memory lies in."""
    return range(address // TILE, (address + size - 1) // TILE + 1)


def _runs(tiles: Sequence[int]) -> list[Extent]:
    """The tiles, which are in order, as pieces: neighbours are one."""
    ends = [at + 1 for at, (one, other) in enumerate(pairwise(tiles)) if other != one + 1]
    bounds = pairwise([0, *ends, len(tiles)])
    return [(tiles[begin] * TILE, (end - begin) * TILE) for begin, end in bounds if begin < end]
