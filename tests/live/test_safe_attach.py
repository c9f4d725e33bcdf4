"""What is left of a look when perfhunt is killed in the middle of it, for every way to look:
nothing of ours runs, no thread of the target is stopped or traced, and no door or recording is
open.
"""

import http.client
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from perfhunt.errors import AttachFailed, ExitCode
from perfhunt.model.profile import ProfileMode
from perfhunt.model.run import RunEnd
from perfhunt.profilers.py_spy import dump, program
from perfhunt.profilers.table import PROFILERS
from perfhunt.store.rundir import read_directory
from perfhunt.target.proc.sockets import held_listening
from tests.live.profiler_targets.launch import HERE, Target, eventually, running
from tests.live.running import SERVICES

pytestmark = [pytest.mark.live, pytest.mark.beside]
GONE_WITHIN = 20.0  # seconds, on a busy host; on a calm one a keeper takes half a second
LOOKED = 1.0  # seconds that it is looked at before the kill
MARK = "PERFHUNT_TEST_MARK"
# A controller that looks at a process in one way, for a minute, and says `looking` once it does.
CONTROLLER = """
import sys, time
from pathlib import Path
from perfhunt.model.profile import ProfileMode
from perfhunt.profilers.table import PROFILERS, cpython_looker, looker_maker
from perfhunt.profilers.instants import InstantsCapture
from perfhunt.profilers.py_spy.instants import DumpLooker
from perfhunt.profilers.state_sampler import StateSampler
way, pid, out = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
{before}
if way == "instants":
    held = InstantsCapture([pid], 60.0, make=cpython_looker)
elif way == "dumps":
    held = InstantsCapture([pid], 60.0, make=lambda pid: (DumpLooker(pid), ""))
elif way == "promises":
    held = InstantsCapture([pid], 60.0, make=looker_maker("node", opened=True))
elif way == "states":
    held = StateSampler([pid]).__enter__()
else:
    held = PROFILERS[way].attach([pid], 60, 99, ProfileMode.CPU, out)
print("looking", flush=True)
time.sleep(60)
"""
# The moment at which a door is open and nothing in the target would close it.
BEFORE_ARMED = """
import perfhunt.profilers.node.door as node
def caught(url):
    print("looking", flush=True)
    time.sleep(60)
node.Inspector = caught
"""
# Ends the recorder of a JVM, which perfhunt sets to a minute after its time, within seconds.
SOON = "import perfhunt.profilers.jvm.profiler as jvm; jvm._DEAD_MAN = -58.0"


def marked(mark: str) -> list[str]:
    """The command lines of the processes that began with that mark in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
    return [command for command in found if command]


def every_thread_runs(pid: int) -> bool:
    """Whether no thread of a process is stopped or traced."""
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        text = status.read_text()
        if "TracerPid:\t0" not in text or "State:\tT" in text or "State:\tt" in text:
            return False
    return True


@contextmanager
def looking(way: str, target: Target, out: Path, before: str = "") -> Iterator[str]:
    """A controller that looks at the target; its mark. It is killed with the block."""
    mark = uuid.uuid4().hex
    controller = subprocess.Popen(
        [sys.executable, "-c", CONTROLLER.format(before=before), way, str(target.pid), str(out)],
        env={**os.environ, MARK: mark},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert controller.stdout is not None and controller.stdout.readline() == "looking\n"
        yield mark
    finally:
        controller.kill()
        controller.wait()
        assert controller.stdout is not None
        controller.stdout.close()


@pytest.mark.parametrize("way", ["instants", "states", "dumps", "py-spy", "perf"])
def test_of_a_killed_look_nothing_is_left(way: str, tmp_path: Path) -> None:
    if way in PROFILERS and (why := PROFILERS[way].available()):
        pytest.skip(why)
    if way == "dumps" and (why := program.unusable()):
        pytest.skip(why)
    with running("threads.py", "spin", "sleep", "lock") as target:
        with looking(way, target, tmp_path) as mark:
            time.sleep(LOOKED)
            assert marked(mark)
        assert eventually(lambda: not marked(mark), GONE_WITHIN), marked(mark)
        assert every_thread_runs(target.pid)
        before = float(target.ask())
        assert eventually(lambda: float(target.ask()) > before)


@pytest.mark.parametrize(
    ("started", "number"),
    [(False, signal.SIGTERM), (True, signal.SIGHUP)],
    ids=["a pid, TERM", "a command, HUP"],
)
def test_a_profile_that_a_signal_ends_is_kept_as_far_as_it_went(
    started: bool, number: signal.Signals, tmp_path: Path
) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:  # tests under nohup: perfhunt would obey it
        pytest.skip(f"{number.name} is ignored by whoever started the tests")
    mark, service = uuid.uuid4().hex, str(SERVICES / "prices.py")
    with running("threads.py", "spin", "sleep", "lock") as target:
        which = ["--", sys.executable, service] if started else ["--pid", str(target.pid)]
        profiling = subprocess.Popen(
            [sys.executable, "-m", "perfhunt", "profile", "--seconds", "60", *which],
            cwd=tmp_path,
            env={**os.environ, MARK: mark},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert eventually(lambda: [*tmp_path.glob(".perfhunt/runs/*/profiles/*/*")], 60.0)
        time.sleep(LOOKED)
        profiling.send_signal(number)
        _, said = profiling.communicate(timeout=60)
        assert profiling.returncode == ExitCode.STOPPED
        assert f"stopped by {number.name}" in said and "is kept" in said
        assert marked(mark) == []
        assert every_thread_runs(target.pid)
        assert target.process.poll() is None
    (kept,) = tmp_path.glob(".perfhunt/runs/*")
    run = read_directory(kept)
    assert run.ending is RunEnd.STOPPED
    assert run.profiles["knee"].total > 0 or run.states["knee"].threads


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize(
    ("way", "before"),
    [("node", ""), ("node", BEFORE_ARMED), ("promises", "")],
    ids=["sampling", "as the door opens", "looking at promises"],
)
def test_a_door_into_node_is_closed_whenever_perfhunt_is_killed(
    way: str, before: str, tmp_path: Path
) -> None:
    if why := PROFILERS["node"].available():
        pytest.skip(why)
    with running("spin.js", program="node") as target:
        with looking(way, target, tmp_path, before) as mark:
            assert held_listening(target.pid)
        assert eventually(lambda: not held_listening(target.pid), GONE_WITHIN)
        assert eventually(lambda: not marked(mark), GONE_WITHIN), marked(mark)
        assert target.process.poll() is None and every_thread_runs(target.pid)


@pytest.mark.skipif(bool(PROFILERS["jvm"].available()), reason=PROFILERS["jvm"].available())
def test_a_recording_of_a_jvm_ends_by_itself(tmp_path: Path) -> None:
    with running("Spin.java", program="java") as target:

        def recordings() -> str:
            words = ["jcmd", str(target.pid), "JFR.check"]
            return subprocess.run(words, capture_output=True, text=True, timeout=30).stdout

        with looking("jvm", target, tmp_path, SOON) as mark:
            assert eventually(lambda: "perfhunt-" in recordings(), 20.0)
        assert eventually(lambda: not marked(mark), GONE_WITHIN), marked(mark)
        assert eventually(lambda: "No available recordings" in recordings(), 20.0)
        assert every_thread_runs(target.pid)


@pytest.fixture(scope="session")
def spinning_go(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Go program that serves its own profiles."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    built = tmp_path_factory.mktemp("go") / "spin"
    subprocess.run(["go", "build", "-o", built, HERE / "spin.go"], check=True, timeout=120)
    return str(built)


def test_a_profile_of_go_ends_with_who_asked_for_it(spinning_go: str, tmp_path: Path) -> None:
    with running("", program=spinning_go) as target:
        port = int(target.told["port"])

        def profiled_again() -> bool:
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                link.request("GET", "/debug/pprof/profile?seconds=1")
                return link.getresponse().status == 200  # 500 while another one goes on
            finally:
                link.close()

        with looking("go", target, tmp_path) as mark:
            time.sleep(LOOKED)
            assert not profiled_again()
        assert eventually(profiled_again, GONE_WITHIN)
        assert eventually(lambda: not marked(mark), GONE_WITHIN)
        assert every_thread_runs(target.pid)


STUBBORN = "trap '' INT TERM; while :; do sleep 600; done"


@pytest.fixture
def hung(tmp_path: Path) -> str:
    """A program that does nothing whatever it is asked, in place of a profiler."""
    wrapper = tmp_path / "hung"
    wrapper.write_text(f"#!/bin/sh\n{STUBBORN}\n")
    wrapper.chmod(0o755)
    return str(wrapper)


def refused(look: Callable[[], object]) -> tuple[str, float]:
    """(what was told of a look that failed, after how many seconds)."""
    began = time.monotonic()
    with pytest.raises(AttachFailed) as failed:
        look()
    return failed.value.message, time.monotonic() - began


@pytest.mark.parametrize("name", ["py-spy", "perf"])
def test_a_profiler_that_hangs_is_stopped_and_this_is_said(
    name: str, hung: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiler = PROFILERS[name]
    if why := profiler.available():
        pytest.skip(why)
    if name == "py-spy":
        monkeypatch.setattr(program, "binary", lambda: hung)
    else:
        Path(hung).rename(tmp_path / "perf")
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with running("threads.py", "sleep") as target:
        capture = profiler.attach([target.pid], 60, 99, ProfileMode.CPU, tmp_path / "out")
        said, took = refused(capture.wait)
        assert every_thread_runs(target.pid)
    assert "it made no progress for 2 s" in said
    assert took < 30.0  # of the sixty that it was to sample


def test_a_dump_that_hangs_is_stopped_and_this_is_said(
    hung: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "binary", lambda: hung)
    monkeypatch.setattr(dump, "_LIMIT", 0.5)
    said, _ = refused(lambda: dump.take_dump(os.getpid()))
    assert "gave no dump" in said


def test_perf_that_is_frozen_is_stopped_although_its_target_sleeps(tmp_path: Path) -> None:
    if why := PROFILERS["perf"].available():
        pytest.skip(why)
    with running("threads.py", "sleep") as target:
        capture = PROFILERS["perf"].attach([target.pid], 60, 99, ProfileMode.CPU, tmp_path)
        log = tmp_path / f"perf-cpu-{target.pid}.data"
        assert eventually(log.exists)
        frozen = capture._recording.pid  # type: ignore[attr-defined]
        os.kill(frozen, signal.SIGSTOP)
        said, _ = refused(capture.wait)
        assert every_thread_runs(target.pid)
    assert "it made no progress for 2 s" in said
