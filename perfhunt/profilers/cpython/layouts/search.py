"""Finding where objects keep what they are known to hold."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

from perfhunt.errors import AttachFailed
from perfhunt.target.proc.memory import WORD, ProcessMemory, pointer

Facts: TypeAlias = Mapping[str, Any]  # what the specimen printed
Pairs: TypeAlias = Sequence[Sequence[int]]  # (where an object is, what it holds)

OBJECT = 64  # words of an object that are searched; the largest of these take forty
RUNTIME = 1 << 16  # words: _PyRuntime and what follows it in the image
CHUNK = 1 << 14  # bytes: a block of the data stack (pystate.c)
LOWEST = 1 << 16  # nothing is mapped below (vm.mmap_min_addr)
_BEFORE = 4  # words before an object, where 3.11 and 3.12 keep the values of its attributes


class OffsetSearch:
    """Finds offsets in the memory of one interpreter that told `facts`. What it does not find
    raises AttachFailed.
    """

    def __init__(self, facts: Facts, memory: ProcessMemory) -> None:
        self.facts, self.memory = facts, memory

    @cached_property
    def object_type(self) -> int:
        """Where an object has its type: behind the count of references; without a GIL, behind more
        than that.
        """
        kind = self.facts["types"]["code"]
        return self.offset("its type", [(code["at"], kind) for code in self.facts["codes"]])

    def words(self, at: int, count: int) -> Iterator[tuple[int, int]]:
        """(offset, word) of what is at an address."""
        return zip(range(0, count * WORD, WORD), self.memory.words(at, count), strict=False)

    def offset(self, what: str, pairs: Pairs) -> int:
        """The first offset at which every object holds its value."""
        agreed: set[int] | None = None
        for at, value in pairs:
            here = {offset for offset, word in self.words(at, OBJECT) if word == value}
            agreed = here if agreed is None else agreed & here
        if not agreed:
            raise unknown(what)
        return min(agreed)

    def int_offset(self, what: str, pairs: Pairs) -> int:
        """As `offset`, of a 32-bit number."""
        agreed: set[int] | None = None
        for at, value in pairs:
            raw = self.memory.read(at, OBJECT * WORD)
            here = {o for o in range(0, len(raw) - 3, 4) if int32(raw, o) == value}
            agreed = here if agreed is None else agreed & here
        if not agreed:
            raise unknown(what)
        return min(agreed)

    def steps(self, at: int, value: int) -> tuple[int, ...]:
        """The steps from an object to the value of one of its attributes: within it, or by way of
        the values that it points to (by an address with a flag, in 3.12).
        """
        begin = at - _BEFORE * WORD
        near = [(offset - _BEFORE * WORD, word) for offset, word in self.words(begin, 20)]
        direct = [offset for offset, word in near if word == value]
        if direct:
            return (direct[0],)
        for offset, word in near:
            for flag in (0, 1):
                for further, held in self.words(word + flag, 16):
                    if word > LOWEST and held == value:
                        return (offset, further + flag)
        raise unknown("the attributes of an object")

    def around(self, at: int, value: int) -> int:
        """Where an object holds a value, perhaps before its own beginning."""
        begin = _BEFORE * WORD
        for offset, word in self.words(at - begin, OBJECT):
            if pointer(word) == value:
                return offset - begin
        raise unknown("the attributes of a future")


def int32(raw: bytes, at: int) -> int:
    """The 32-bit number so many bytes into what was read."""
    return int(struct.unpack_from("<i", raw, at)[0])


def int64(raw: bytes, at: int) -> int:
    """The 64-bit number so many bytes into what was read."""
    return int(struct.unpack_from("<q", raw, at)[0])


def unknown(what: str) -> AttachFailed:
    """The refusal of a build that keeps something elsewhere."""
    return AttachFailed(f"This build of Python does not keep {what} where any known one does")
