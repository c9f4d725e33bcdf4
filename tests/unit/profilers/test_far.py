"""What the half that looks elsewhere tells, and what is made of it here."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from perfhunt.errors import Unreadable
from perfhunt.model.document.plain import from_plain, to_plain
from perfhunt.model.profile import Frame, Instant, Instants, ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.profilers.remote.messages import (
    LARGEST,
    PackedInstants,
    framed,
    packed,
    plain,
    read_frame,
    unpacked,
)
from perfhunt.profilers.remote.probes import on_cpu_of
from perfhunt.profilers.remote.program import archive

MAIN, WORK, WAIT = Frame("main", "/app.py", 1), Frame("work", "/app.py", 9), Frame("wait", "", None)
SLEEPS = ThreadSample(7, 8, (MAIN, WAIT), ThreadState.LOCK, "futex:0x10", still=True)
RUNS = ThreadSample(7, 9, (MAIN, WORK), ThreadState.ON_CPU, holds=frozenset({"futex:0x10"}))
TASK = ThreadSample(7, 0, (MAIN,), ThreadState.ON_CPU, task=True, still=True)
NOWHERE = ThreadSample(7, 10, (), ThreadState.ON_CPU)
SERIES = Instants(
    2.0,
    (Instant(10.0, (SLEEPS, RUNS)), Instant(10.5, (SLEEPS, TASK, NOWHERE)), Instant(11.0, (RUNS,))),
    errors=1,
    notes=("cost",),
)


def sent(series: Instants) -> PackedInstants:
    """The series as it comes through the line."""
    frame = read_frame(io.BytesIO(framed(packed(series))).read)
    assert frame is not None
    return from_plain(PackedInstants, json.loads(frame))


def test_a_series_that_was_sent_is_the_same_again_by_our_clock() -> None:
    again = unpacked(sent(SERIES), later=100.0)
    assert [instant.at for instant in again] == [110.0, 110.5, 111.0]
    assert [i.threads for i in again] == [i.threads for i in SERIES]
    assert (again.seconds, again.errors, again.notes) == (2.0, 1, ("cost",))


def test_what_comes_again_and_again_is_sent_once() -> None:
    long = Instants(60.0, tuple(Instant(float(at), (SLEEPS, RUNS)) for at in range(1000)))
    assert len(packed(long).samples) == 2 and len(packed(long).frames) == 3
    assert len(framed(packed(long))) < 40_000


def test_a_value_is_written_as_the_other_writer_writes_it() -> None:
    for value in (SERIES, {"a": (1, 2.5, None, float("inf"))}, [SLEEPS]):
        assert json.loads(json.dumps(plain(value))) == json.loads(json.dumps(to_plain(value)))


@pytest.mark.parametrize("number", [-1, 2, 10**9])
def test_a_number_of_nothing_is_refused(number: int) -> None:
    whole = to_plain(packed(SERIES))
    whole["stacks"][0][0] = whole["looks"][0][1][0] = number + 3 if number > 0 else number
    with pytest.raises(Unreadable, match="names number"):
        unpacked(from_plain(PackedInstants, whole))


def test_a_frame_that_is_cut_short_or_too_long_is_refused() -> None:
    whole = framed({"answer": 1})
    for cut in (whole[:2], whole[:-1], (LARGEST + 1).to_bytes(4, "big") + b"{}"):
        with pytest.raises(Unreadable):
            read_frame(io.BytesIO(cut).read)
    assert read_frame(io.BytesIO(b"").read) is None


def test_the_stacks_that_ran_are_those_of_threads_at_work() -> None:
    profile = on_cpu_of(SERIES)
    assert profile.stacks == {(MAIN, WORK): 2.0}
    assert (profile.ticks, profile.rate_hz) == (3, 1.5)


def test_the_half_that_is_sent_needs_no_other_library(tmp_path: Path) -> None:
    file = tmp_path / "half.zip"
    file.write_bytes(archive())
    script = f"import sys; sys.path.insert(0, {str(file)!r}); import perfhunt.profilers.remote.far"
    # Without `site` there is nothing but Python's own library.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_half_that_is_sent_has_all_it_imports_and_what_it_reads() -> None:
    names = zipfile.ZipFile(io.BytesIO(archive())).namelist()
    assert "perfhunt/profilers/remote/far.py" in names
    assert "perfhunt/profilers/cpython/layouts/specimen.txt" in names
    assert not [name for name in names if "/load/" in name or "__pycache__" in name]
