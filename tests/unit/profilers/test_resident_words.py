"""Words are found in memory the same way with NumPy and without it."""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import closing

import pytest

from perfhunt.profilers.cpython import resident
from perfhunt.profilers.cpython.resident import ResidentMemory
from perfhunt.target.proc.memory import ProcessMemory

WORDS = (0x7F1234ABCD000010, 0x00007F5678CDEF20)


@pytest.fixture
def memory() -> Iterator[ProcessMemory]:
    with closing(ProcessMemory(os.getpid())) as own:
        yield own


@pytest.mark.parametrize("compares", [True, False])
def test_words_are_found_where_they_are_aligned(
    memory: ProcessMemory, compares: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "COMPARES", compares)
    with mmap.mmap(-1, 4 * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as page:
        for at, word in ((0, WORDS[0]), (40, WORDS[1]), (8192 + 3, WORDS[0]), (12280, WORDS[0])):
            struct.pack_into("<Q", page, at, word)
        begin = ctypes.addressof(anchor := ctypes.c_char.from_buffer(page))
        there = ResidentMemory(memory)
        there.renew()
        found = [(at - begin, word) for at, word in there.holding(WORDS) if 0 <= at - begin < 16384]
        del anchor
    assert sorted(found) == [(0, WORDS[0]), (40, WORDS[1]), (12280, WORDS[0])]
