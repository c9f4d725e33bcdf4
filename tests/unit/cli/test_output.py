"""Output that finds no room, or no reader: no traceback, and no verdict that changes for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sample_run import keep, moved, sample_run

RUN = sample_run()
A, B = RUN.id, "20261124T043000Z-222222"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    keep(tmp_path, RUN)
    keep(tmp_path, moved(RUN, 0.5, B))
    return tmp_path


def perfhunt(*words: str, out: int, err: int = subprocess.PIPE) -> tuple[int, str]:
    """The exit code and what was said on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "perfhunt", *words], stdout=out, stderr=err, text=True, check=False
    )
    return done.returncode, done.stderr or ""


@pytest.fixture
def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@pytest.fixture
def deaf() -> int:
    """A pipe whose reader has gone."""
    reads, writes = os.pipe()
    os.close(reads)
    return writes


@pytest.mark.parametrize("words", [["report"], ["history", "--json"]])
def test_a_full_disk_is_a_sentence_and_an_error_where_output_was_all(
    store: Path, full: int, words: list[str]
) -> None:
    code, said = perfhunt(*words, "--store", str(store), out=full)
    assert code == 1
    assert said.splitlines()[0] == (
        "perfhunt: standard output took no more: No space left on device"
    )
    assert "Traceback" not in said and "Exception ignored" not in said


@pytest.mark.parametrize(("before", "after", "code"), [(A, B, 90), (B, A, 0)])
def test_a_full_disk_changes_no_verdict(
    store: Path, full: int, before: str, after: str, code: int
) -> None:
    ended, said = perfhunt("compare", before, after, "--store", str(store), out=full)
    assert ended == code
    assert "standard output took no more" in said
    assert "Traceback" not in said


def test_a_reader_that_has_gone_changes_no_verdict_and_is_told_nothing(
    store: Path, deaf: int
) -> None:
    assert perfhunt("compare", A, B, "--store", str(store), out=deaf) == (90, "")


def test_a_report_that_nobody_reads_is_no_error(store: Path, deaf: int) -> None:
    assert perfhunt("report", "--store", str(store), out=deaf) == (0, "")


def test_a_full_disk_for_complaints_as_well_changes_no_exit_code(store: Path, full: int) -> None:
    assert perfhunt("report", "none", "--store", str(store), out=full, err=full)[0] == 2


def test_help_that_finds_no_room_is_a_sentence(full: int) -> None:
    code, said = perfhunt("history", "--help", out=full)
    assert code == 1
    assert "No space left" in said and "Traceback" not in said
