"""Whatever others wrote, its reader returns or raises its own error: never a traceback, never a
long time, never much memory. `scripts/fuzz` does the same for long, guided by coverage.
"""

from __future__ import annotations

import time

import pytest

from tests.property.hostile.cases import CRASHES
from tests.property.hostile.mutations import amplified, mutated
from tests.property.hostile.readers import READERS

INPUTS = 30  # of each reader
QUICK = 3.0  # CPU seconds for some kilobytes, on a slow machine
LARGE = 30_000  # bytes


@pytest.mark.parametrize("name", READERS)
def test_no_mutation_makes_a_reader_fail_in_another_way(name: str) -> None:
    reader = READERS[name]
    outcomes = {reader.try_on(raw) for raw in reader.seeds}
    for raw in mutated(reader.seeds, INPUTS, seed=1):
        began = time.process_time()
        outcomes.add(reader.try_on(raw))
        assert time.process_time() - began < QUICK, raw[:200]
    assert "read" in outcomes


@pytest.mark.parametrize(("name", "raw"), CRASHES, ids=lambda value: str(value)[:40])
def test_what_once_crashed_a_reader_is_read_or_refused(name: str, raw: bytes) -> None:
    began = time.process_time()
    READERS[name].try_on(raw)
    assert time.process_time() - began < QUICK


LINEAR = [name for name in READERS if not name.startswith("edit of ")]


@pytest.mark.parametrize("name", LINEAR)
def test_no_repetition_takes_the_square_of_its_size(name: str) -> None:
    """Of 30 kB, what takes the square takes seconds. Those that are read in our own process: edits
    have a child and a limit of time.
    """
    reader = READERS[name]
    for raw in amplified(reader.seeds[0][:400], LARGE):
        began = time.process_time()
        reader.try_on(raw)
        assert time.process_time() - began < QUICK / 2, raw[:120]
