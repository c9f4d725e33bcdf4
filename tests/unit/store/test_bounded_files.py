"""A pipe, a device or an endless file where a file is expected keeps nobody waiting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perfhunt.errors import QuestionError, StoreError, TargetNotFound, Unreadable
from perfhunt.model.question import ProcessSelector
from perfhunt.store.files import read_text, regular_bytes
from perfhunt.store.listing import find_test_file
from perfhunt.store.testfile import read_question
from perfhunt.target.proc.files import read, tail, text
from perfhunt.target.selection import selected


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_a_pipe_is_no_file_and_nobody_waits_for_its_writer(pipe: Path) -> None:
    with pytest.raises(OSError, match="not a regular file"):
        regular_bytes(pipe)
    with pytest.raises(StoreError):
        read_text(pipe)
    assert (read(str(pipe)), text(pipe)) == (b"", "")


def test_a_device_without_an_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="MiB"):
        read("/dev/zero", 1 << 20)
    with pytest.raises(TargetNotFound):
        selected(ProcessSelector(pidfile="/dev/zero"), None)
    with pytest.raises(QuestionError):
        read_question(Path("/dev/zero"), tmp_path, {})


def test_a_file_larger_than_is_read_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(2 << 20)
    with pytest.raises(Unreadable, match="large holds over 1 MiB"):
        regular_bytes(path, 1 << 20)
    assert len(regular_bytes(path, 2 << 20)) == 2 << 20
    assert tail(path, 10) == bytes(10)


def test_a_pyproject_of_another_that_would_take_for_ever_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("a" + ".a" * 200_000 + " = 1")
    (tmp_path / ".git").mkdir()
    assert find_test_file(tmp_path) is None
