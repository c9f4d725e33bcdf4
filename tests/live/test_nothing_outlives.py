"""Nothing that perfhunt started outlives it: not a wrapper's child, not a daemon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from perfhunt.target.command_timer import Command, time_command
from perfhunt.target.launch import run_prepare
from perfhunt.target.leash import SECRET_VARIABLE, KeptCommand, run, spawn
from tests.live.running import until

pytestmark = [pytest.mark.live, pytest.mark.beside]

# Each becomes so many `sleep`s, all of which work in the current directory.
TREES = {
    "a command": ("exec sleep 600", 1),
    "a wrapper": ("sleep 600; true", 1),
    "a wrapper that hears nothing": ("trap '' TERM INT HUP; sleep 600; sleep 600", 1),
    "a background child": ("sleep 600 & sleep 600; true", 2),
    "a daemon": ("(setsid sleep 600 &) ; sleep 600; true", 2),
    "a daemon of a daemon": ("(setsid sh -c '(setsid sleep 600 &) ; sleep 600' &) ; sleep 600", 3),
    "a daemon that is left alone": ("(setsid sleep 600 &) ; exit 0", 1),
    "a stopped one": ("sleep 600 & until kill -STOP $!; do :; done; sleep 600; true", 1),
    "one without output": ("exec >/dev/null 2>&1 </dev/null; setsid sleep 600; true", 1),
}
OWNER = """
import os, subprocess, sys
from pathlib import Path
from perfhunt.{module} import {name}
{code}
"""
SPAWN = """
kept = spawn(["sh", "-c", sys.argv[1]], subprocess.DEVNULL, directory=Path(sys.argv[2]))
print("ready", flush=True)
kept.wait()
sys.stdin.read()
"""
TIME = """
print("ready", flush=True)
time_command(Command("it", ("sh", "-c", sys.argv[1]), Path(sys.argv[2])))
sys.stdin.read()
"""
PREPARE = """
print("ready", flush=True)
run_prepare("it", ["sh", "-c", sys.argv[1]], Path(sys.argv[2]))
sys.stdin.read()
"""
WAYS = {
    "spawn": OWNER.format(module="target.leash", name="spawn", code=SPAWN),
    "bench": OWNER.format(module="target.command_timer", name="Command, time_command", code=TIME),
    "prepare": OWNER.format(module="target.launch", name="run_prepare", code=PREPARE),
}


def working_in(directory: Path) -> list[psutil.Process]:
    """Every process whose current directory it is."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(directory) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def sleeping_in(directory: Path) -> list[psutil.Process]:
    found = []
    for process in working_in(directory):
        with suppress(psutil.NoSuchProcess):  # a shell between it and us, which has ended
            if process.name() == "sleep":
                found.append(process)
    return found


@contextmanager
def owner(way: str, tree: str, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A perfhunt that has started a tree of processes, which all are there."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAYS[way], TREES[tree][0], str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        assert until(lambda: len(sleeping_in(directory)) >= TREES[tree][1], within=10.0)
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        for left in working_in(directory):
            left.kill()


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("way", WAYS)
def test_kill_9_of_the_owner_ends_all_that_it_started(tmp_path: Path, way: str, tree: str) -> None:
    with owner(way, tree, tmp_path) as process:
        process.kill()
        process.wait()
        assert until(lambda: not working_in(tmp_path), within=3.0)


def test_a_kill_by_the_name_of_the_command_leaves_its_keeper_to_its_work(tmp_path: Path) -> None:
    with owner("spawn", "a daemon", tmp_path) as process:
        named = [p for p in working_in(tmp_path) if "sleep" in " ".join(p.cmdline())]
        assert len(named) < len(working_in(tmp_path))
        process.kill()
        for each in named:
            with suppress(psutil.NoSuchProcess):  # its keeper was quicker
                each.kill()
        process.wait()
        assert until(lambda: not working_in(tmp_path), within=3.0)


def test_an_owner_that_just_ends_leaves_nothing_either(tmp_path: Path) -> None:
    with owner("spawn", "a daemon that is left alone", tmp_path) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10.0) == 0
        assert until(lambda: not working_in(tmp_path), within=3.0)


def started(tree: str, directory: Path) -> KeptCommand:
    return spawn(["sh", "-c", TREES[tree][0]], subprocess.DEVNULL, directory=directory)


@pytest.mark.parametrize("tree", TREES)
def test_an_ordered_end_leaves_nothing(tmp_path: Path, tree: str) -> None:
    kept = started(tree, tmp_path)
    assert until(lambda: bool(sleeping_in(tmp_path)), within=5.0)
    kept.end(0.5)
    assert working_in(tmp_path) == []
    assert kept.ended is not None
    kept.end(0.5)  # which is nothing more to do


def test_the_command_that_ended_leaves_its_daemon_to_go_on_as_long_as_the_owner(
    tmp_path: Path,
) -> None:
    kept = started("a daemon that is left alone", tmp_path)
    assert kept.wait(5.0) == 0
    assert until(lambda: len(sleeping_in(tmp_path)) == 1, within=5.0)
    kept.leave()
    assert len(sleeping_in(tmp_path)) == 1
    kept.end(0.5)
    assert working_in(tmp_path) == []


def test_the_command_does_not_outlive_its_keeper(tmp_path: Path) -> None:
    kept = started("a wrapper", tmp_path)
    assert until(lambda: bool(sleeping_in(tmp_path)), within=5.0)
    psutil.Process(psutil.Process(kept.pid).ppid()).kill()
    assert kept.wait(5.0) == -signal.SIGKILL
    kept.end(0.5)
    assert until(lambda: not working_in(tmp_path), within=1.0)


@pytest.mark.parametrize(
    ("line", "code"),
    [("exit 3", 3), ("kill -TERM $$", -signal.SIGTERM), ("true", 0), ("kill -PIPE $$", -13)],
)
def test_a_command_ends_as_it_would_alone(line: str, code: int) -> None:
    assert run(["sh", "-c", line]) == (code, b"")


def test_a_command_finds_what_it_would_find_alone(tmp_path: Path) -> None:
    look = (
        "import os, signal; "
        "print(os.getcwd(), os.environ['X'], os.environ.get('LC_CTYPE'),"
        " os.getsid(0) == os.getpid(),"
        " [n for n in (1, 2, 3, 10, 12, 13, 15, 17, 25) if signal.getsignal(n) == signal.SIG_IGN],"
        " sorted(os.listdir('/proc/self/fd'))[:3], os.readlink('/proc/self/fd/0'))"
    )
    words = [sys.executable, "-I", "-S", "-c", look]
    alone = subprocess.run(
        words,
        cwd=tmp_path,
        env={**os.environ, "X": "caf\udce9 $HOME"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        check=True,
    )
    its_own = {**os.environ, "X": "caf\udce9 $HOME"}
    code, kept = run(words, directory=tmp_path, environment=its_own)
    assert (code, kept) == (0, alone.stdout)


def test_a_command_does_not_find_the_secret_of_load_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, "CANARYsecret")
    monkeypatch.setenv("ANOTHER", "is passed on")
    code, printed = run([sys.executable, "-c", "import os; print(dict(os.environ))"])
    assert code == 0
    assert b"is passed on" in printed
    assert b"CANARYsecret" not in printed


def test_a_command_that_takes_too_long_is_ended_with_all_of_it(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        run(["sh", "-c", TREES["a daemon"][0]], directory=tmp_path, within=0.5)
    assert working_in(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "directory", "error"),
    [
        (["/dev/null/none"], None, NotADirectoryError),
        (["no-such-program-anywhere"], None, FileNotFoundError),
        ([__file__], None, PermissionError),
        (["true"], "/dev/null/none", NotADirectoryError),
    ],
)
def test_a_command_that_cannot_be_started_says_why(
    words: list[str], directory: str | None, error: type[OSError]
) -> None:
    with pytest.raises(error):
        spawn(words, subprocess.DEVNULL, directory=Path(directory) if directory else None)


def test_a_hundred_runs_leave_no_process_and_no_descriptor() -> None:
    run(["true"])
    ours = psutil.Process()
    before = ours.num_fds(), len(ours.children(recursive=True))
    for _ in range(20):
        time_command(Command("true", ("true",)))
        run_prepare("it", ["true"], None)
    assert until(lambda: len(ours.children(recursive=True)) <= before[1], within=2.0)
    assert ours.num_fds() <= before[0] + 1


def test_a_keeper_costs_no_cpu_while_it_waits(tmp_path: Path) -> None:
    kept = started("a command", tmp_path)
    keeper = psutil.Process(psutil.Process(kept.pid).ppid())
    before = keeper.cpu_times()
    time.sleep(1.0)
    after = keeper.cpu_times()
    kept.end(0.5)
    assert after.user + after.system - before.user - before.system < 0.05
