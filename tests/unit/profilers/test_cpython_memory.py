"""Pieces of memory read at once, and which of it changed, against memory of this very process."""

import ctypes
import os
import struct
from collections.abc import Iterator

import pytest

from perfhunt.profilers.cpython.tiles import TILE, Tiles, tiles_of
from perfhunt.target.proc.memory import ProcessMemory, fields_at

UNMAPPED = 16  # below vm.mmap_min_addr
NUMBERS = bytes(range(256)) * 64


@pytest.fixture
def buffer() -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(NUMBERS, len(NUMBERS))


@pytest.fixture(params=[True, False], ids=["one call", "without that call"])
def memory(request: pytest.FixtureRequest) -> Iterator[ProcessMemory]:
    opened = ProcessMemory(os.getpid())
    opened._batches = opened._batches and request.param
    yield opened
    opened.close()


def test_pieces_come_in_their_order_with_zeros_for_what_is_not_mapped(
    memory: ProcessMemory, buffer: ctypes.Array[ctypes.c_char]
) -> None:
    at = ctypes.addressof(buffer)
    spans = [(at + 8, 8), (UNMAPPED, 3), (at, 2), (-24, 4), (at + 5, 0), (at + 255, 2)]
    expected = NUMBERS[8:16] + bytes(3) + NUMBERS[:2] + bytes(4) + NUMBERS[255:257]
    assert memory.together(spans) == expected
    assert memory.together([]) == b""


def test_more_pieces_than_one_call_takes_and_a_hole_among_them(
    memory: ProcessMemory, buffer: ctypes.Array[ctypes.c_char]
) -> None:
    at = ctypes.addressof(buffer)
    spans = [(at + n % 4096, 4) for n in range(3000)]
    spans[2000] = (UNMAPPED, 4)
    pieces = [NUMBERS[n % 4096 : n % 4096 + 4] for n in range(3000)]
    pieces[2000] = bytes(4)
    assert memory.together(spans) == b"".join(pieces)


def test_a_process_that_is_gone_is_zeros(memory: ProcessMemory) -> None:
    memory.pid = 2**22 + 1
    memory.close()
    assert memory.together([(4096, 8)] * 3) == bytes(24)


def test_the_tiles_that_changed_are_told_and_no_others(
    memory: ProcessMemory, buffer: ctypes.Array[ctypes.c_char]
) -> None:
    tiles, at = Tiles(memory), ctypes.addressof(buffer)
    near, far = tiles_of(at, 2 * TILE), tiles_of(at + 6 * TILE, TILE)
    wanted = {*near, *far}
    assert tiles.renew(wanted) == wanted  # none was held before
    assert tiles.renew(wanted) == set()
    buffer[6 * TILE] = b"x"
    assert tiles.renew(wanted) == {(at + 6 * TILE) // TILE}
    # Of a piece that begins in one tile and ends in the next.
    assert tiles.read(at + TILE - 4, 8) == NUMBERS[TILE - 4 : TILE + 4]
    assert tiles.renew(set(near)) == set() and tiles.read(at + 6 * TILE, 4) == b""
    assert tiles.renew(wanted) == set(far) - set(near)


def test_fields_are_taken_in_the_order_they_were_asked_for() -> None:
    raw = struct.pack("<4Q", 1, 2, 3, 4)
    assert fields_at(16, 0, 24)(raw) == (3, 1, 4)
    with pytest.raises(ValueError, match="overlap"):
        fields_at(0, 4)
