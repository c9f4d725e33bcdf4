"""What every verb stands on, and what is said where it is not there."""

from __future__ import annotations

import os
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


def test_a_small_container_on_a_large_host_has_room_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: started.append(thread))
    monkeypatch.setattr(threading.Thread, "join", lambda thread: None)
    monkeypatch.setattr(os, "cpu_count", lambda: 256)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {7, 8})
    require_footing()
    of_two = len(started)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(256)))
    require_footing()
    assert of_two == 10  # 8 of ours, one for the other core of each of two copies
    assert len(started) - of_two == 8 + 2 * 63  # MAX_THREADS=64 of both, as they tell
