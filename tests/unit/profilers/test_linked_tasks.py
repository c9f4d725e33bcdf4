"""Tasks that are linked to each other, as Python 3.14 keeps them, in memory made for it."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import pytest

from perfhunt.errors import AttachFailed
from perfhunt.profilers.cpython.layouts.tasks import TaskSearch
from perfhunt.profilers.cpython.tasks import Tasks
from perfhunt.target.proc.memory import WORD, ProcessMemory

STATE, HEAD, LINK = 0x10_0000, 520, 160
TASKS = [0x20_0000 + n * 0x1000 for n in range(4)]


class WrittenMemory(ProcessMemory):
    """Memory whose words are given; the rest of it is zero."""

    def __init__(self, words: dict[int, int]) -> None:
        self._words = words

    def read(self, address: int, size: int) -> bytes:
        words = (self._words.get(at, 0) for at in range(address, address + size, WORD))
        return struct.pack(f"<{(size + WORD - 1) // WORD}Q", *words)[:size]


def linked() -> WrittenMemory:
    """Four tasks in a ring with the head in the state of their thread."""
    ring = [STATE + HEAD, *(task + LINK for task in TASKS)]
    return WrittenMemory(dict(zip(ring, [*ring[1:], ring[0]], strict=True)))


def test_link_and_head_are_learnt_from_tasks_that_were_made_in_turn() -> None:
    assert TaskSearch({}, linked())._links(TASKS, STATE) == (LINK, HEAD)
    with pytest.raises(AttachFailed, match="its tasks"):
        TaskSearch({}, WrittenMemory({}))._links(TASKS, STATE)


def test_the_ring_is_followed_from_the_state_back_to_it_and_no_further() -> None:
    reader = Tasks.__new__(Tasks)
    reader._memory = linked()
    reader._layout = SimpleNamespace(link=LINK, head=HEAD)  # type: ignore[assignment]
    reader._links = []
    for _ in range(2):  # The second time, where the links are is known.
        assert list(reader._linked([STATE, STATE + 0x4000])) == TASKS  # the other has no list
