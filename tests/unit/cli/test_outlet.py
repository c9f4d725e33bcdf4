"""A reader that goes away, stalls or has no room costs the text, and neither the verb nor its exit
code.
"""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perfhunt.cli.outlet import Outlet
from perfhunt.cli.view import watchers
from perfhunt.cli.view.watchers import ROOM, Aside
from perfhunt.model.run import Event, Noted, Ticked
from perfhunt.model.trial import Phase, SecondRow, Step

PATIENCE = 20.0  # seconds of a test, with what must happen at all
ROW = SecondRow(
    second=0,
    due=1,
    sent=1,
    done=1,
    failed=0,
    shed=0,
    exceed=(0,),
    in_flight=0.1,
    p50=0.01,
    p99=0.01,
    lag_p99=0.0,
    generator_cpu=0.1,
)
TICK = Ticked(Step(Phase.RAMP, 10.0, 5.0, 1), ROW)
VERB = (sys.executable, "-m", "perfhunt", "--help")


def run(*, stdout: int, stderr: int = subprocess.PIPE) -> tuple[int, str]:
    done = subprocess.run(VERB, stdout=stdout, stderr=stderr, text=True, timeout=60, check=False)
    return done.returncode, done.stderr or ""


def test_a_reader_that_has_gone_costs_the_output_and_not_the_exit_code() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        code, told = run(stdout=writer)
    finally:
        os.close(writer)
    assert (code, told) == (0, "perfhunt: not all of the output was written: Broken pipe\n")


def test_a_full_disk_costs_the_output_and_not_the_exit_code() -> None:
    with open("/dev/full", "wb") as full:
        code, told = run(stdout=full.fileno())
        assert code == 0
        assert told.startswith("perfhunt: not all of the output was written: No space left")
        assert told.count("\n") == 1
        assert run(stdout=full.fileno(), stderr=full.fileno())[0] == 0


@pytest.mark.parametrize("closed", [1, 2])
def test_a_stream_that_was_closed_beforehand_is_no_failure(closed: int) -> None:
    done = subprocess.run(
        VERB,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: os.close(closed),
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert bool(done.stdout) is (closed == 2)


def small_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, 1031, 4096)  # F_SETPIPE_SZ: a page
    return reader, writer


@pytest.fixture(params=[small_pipe, pty.openpty])
def stalled(request: pytest.FixtureRequest) -> Iterator[tuple[int, Outlet]]:
    """An outlet whose reader has not begun to read."""
    make: Callable[[], tuple[int, int]] = request.param
    reader, writer = make()
    with open(writer, "w") as stream:
        yield reader, Outlet(stream)
    os.close(reader)


TEXT = b"0123456789abcde\n" * 4096  # more than a terminal or a small pipe takes


def test_a_reader_that_does_not_read_is_waited_for_only_while_there_is_patience(
    stalled: tuple[int, Outlet],
) -> None:
    _, outlet = stalled
    writing = threading.Thread(target=outlet.write, args=(TEXT,), daemon=True)
    writing.start()
    writing.join(0.5)
    assert writing.is_alive()
    outlet.patience = 0.1
    writing.join(PATIENCE)
    assert not writing.is_alive()
    assert outlet.lost == "whoever reads it stopped reading"
    assert outlet.write(TEXT) == len(TEXT)  # at once


def test_a_reader_that_is_slow_gets_all_of_it(stalled: tuple[int, Outlet]) -> None:
    reader, outlet = stalled
    writing = threading.Thread(target=outlet.write, args=(TEXT,), daemon=True)
    writing.start()
    got = b""
    while len(got.replace(b"\r", b"")) < len(TEXT):  # a terminal adds its own returns
        got += os.read(reader, 1000)
    writing.join(PATIENCE)
    assert got.replace(b"\r", b"") == TEXT
    assert outlet.lost == ""


def test_a_watcher_that_is_held_up_holds_up_nobody_and_what_it_missed_is_said() -> None:
    may_go_on, told = threading.Event(), list[Event]()

    def watch(event: Event) -> None:
        may_go_on.wait(PATIENCE)
        told.append(event)

    aside = Aside(watch)
    for _ in range(ROOM + 50):
        aside.watch(TICK)
    aside.watch(Noted("the end"))  # all of this returned although nothing was read
    assert not told
    may_go_on.set()
    aside.close()
    assert told.count(Noted("the end")) == 1
    (missed,) = (e for e in told if isinstance(e, Noted) and "not shown" in e.sentence)
    assert int(missed.sentence.split()[0]) + told.count(TICK) == ROOM + 50
    assert told.count(TICK) >= ROOM


def test_who_does_not_read_is_waited_for_at_the_end_of_a_run_but_not_of_one_cut_short(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hurried: list[int] = []
    monkeypatch.setattr(watchers, "hurry", lambda: hurried.append(1))
    with watchers.watching(as_json=True, quiet=False) as watch:
        watch(Noted("one"))
    assert not hurried
    with pytest.raises(KeyError), watchers.watching(as_json=True, quiet=False) as watch:
        watch(Noted("two"))
        raise KeyError
    assert hurried
    assert capsys.readouterr().out.count('"event": "noted"') == 2


def test_a_regular_file_takes_all_of_it(tmp_path: Path) -> None:
    file = tmp_path / "out"
    with open(file, "w") as stream:
        assert Outlet(stream).write(TEXT) == len(TEXT)
    assert file.read_bytes() == TEXT
