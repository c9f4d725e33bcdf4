"""What every verb stands on, and what is said where it is not there."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from perfhunt.cli.footing import require_footing
from perfhunt.errors import PerfhuntError, UsageError


def test_a_directory_that_is_gone_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(UsageError, match="is there no more"):
        require_footing()


def test_too_few_threads_are_told_with_how_many_and_leave_none_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = threading.active_count()
    require_footing()
    start, left = threading.Thread.start, iter(range(3))

    def limited(thread: threading.Thread) -> None:
        if next(left, None) is None:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(PerfhuntError, match="may start 3 more threads"):
        require_footing()
    assert threading.active_count() == before
