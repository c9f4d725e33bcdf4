"""Profilers on real processes: do they see what is known to run, and do they always leave the
target running?
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Profile, ProfileMode
from perfhunt.model.run import TargetProcess
from perfhunt.model.states import ThreadState
from perfhunt.profilers.child_process import ProfilerProcess
from perfhunt.profilers.go.told import GoToldLooker
from perfhunt.profilers.instants import InstantsCapture
from perfhunt.profilers.preflight import checks
from perfhunt.profilers.table import PROFILERS, cpython_looker
from perfhunt.target.proc.sockets import held_listening
from perfhunt.target.process import process_of
from tests.live.profiler_targets.launch import (
    eventually,
    in_own_pids,
    interpreter,
    running,
    runs_freely,
)

pytestmark = pytest.mark.live
PY_SPY = PROFILERS["py-spy"]

needs_py_spy = pytest.mark.skipif(bool(PY_SPY.available()), reason=PY_SPY.available())


def leaves(profile: Profile) -> Counter[str]:
    found: Counter[str] = Counter()
    for stack, n in profile.stacks.items():
        found[stack[-1].function] += round(n)
    return found


def profilers_of(pid: int) -> list[int]:
    """The processes whose command line names `pid` and py-spy."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"py-spy") and str(pid).encode() in words:
                found.append(int(entry.name))
    return found


@needs_py_spy
@pytest.mark.parametrize("mode", [ProfileMode.CPU, ProfileMode.GIL])
def test_py_spy_sees_the_function_that_runs_and_none_that_sleeps(
    mode: ProfileMode, tmp_path: Path
) -> None:
    with running("threads.py", "spin", "sleep", "lock") as target:
        profile = PY_SPY.attach([target.pid], 2, 100, mode, tmp_path).wait()
        assert runs_freely(target.pid)
    assert leaves(profile).most_common(1)[0][0] == "spin"
    assert leaves(profile)["spin"] >= 0.95 * profile.total
    assert profile.mode == mode and profile.version and (tmp_path / profile.raw).exists()
    # One thread that always runs is in nearly every sample of a profiler that looked `ticks` times.
    assert profile.ticks is None or profile.total / profile.ticks > 0.6
    assert any("of one core" in note for note in profile.notes)


@needs_py_spy
def test_a_thread_pool_that_filled_up_since_the_choice_is_not_walked_thread_by_thread(
    tmp_path: Path,
) -> None:
    with running("threads.py", "spin", *["idle"] * 10) as target:
        profile = PY_SPY.attach([target.pid], 1, 100, ProfileMode.CPU, tmp_path).wait()
    assert profile.mode == "gil" and any("12 threads" in note for note in profile.notes)


@needs_py_spy
@pytest.mark.beside
def test_every_worker_of_a_prefork_server_is_recorded(tmp_path: Path) -> None:
    with running("prefork.py") as target:
        rate = PY_SPY.rate_for(200, 2, 1, 2.0)
        profile = PY_SPY.attach(target.told["workers"], 2, rate, ProfileMode.GIL, tmp_path).wait()
        assert sorted(profile.pids) == sorted(target.told["workers"])
        assert profile.rate_hz <= 100  # two at once cost no more than one did
        assert leaves(profile).most_common(1)[0][0] == "serve_worker"
        assert len(list(tmp_path.glob("*.folded"))) == 2


@needs_py_spy
@pytest.mark.beside
def test_a_capture_that_is_stopped_early_still_gives_its_profile(tmp_path: Path) -> None:
    with running("threads.py", "spin") as target:
        capture = PY_SPY.attach([target.pid], 60, 100, ProfileMode.GIL, tmp_path)
        time.sleep(1.0)
        began = time.monotonic()
        capture.stop()
        capture.stop()
        assert time.monotonic() - began < 3.0
        assert capture.wait().total > 0
        assert runs_freely(target.pid) and not profilers_of(target.pid)


@needs_py_spy
@pytest.mark.parametrize("after", [0.02, 0.3, 0.8])
@pytest.mark.beside
def test_killing_the_profiler_at_any_moment_leaves_the_target_running(
    after: float, tmp_path: Path
) -> None:
    with running("threads.py", "spin", "sleep") as target:
        capture = PY_SPY.attach([target.pid], 60, 200, ProfileMode.CPU, tmp_path)
        assert eventually(lambda: profilers_of(target.pid))
        time.sleep(after)
        for pid in profilers_of(target.pid):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(AttachFailed):
            capture.wait()
        assert runs_freely(target.pid)
        before = float(target.ask())
        assert eventually(lambda: float(target.ask()) > before)


@needs_py_spy
def test_a_frozen_profiler_is_ended_by_the_heartbeat(tmp_path: Path) -> None:
    with running("threads.py", "spin") as target:
        capture = PY_SPY.attach([target.pid], 60, 100, ProfileMode.GIL, tmp_path)
        assert eventually(lambda: profilers_of(target.pid))
        time.sleep(0.5)
        (frozen,) = profilers_of(target.pid)
        os.kill(frozen, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(AttachFailed, match="no progress"):
            capture.wait()
        assert time.monotonic() - began < 10.0
        assert runs_freely(target.pid) and not profilers_of(target.pid)


@needs_py_spy
@pytest.mark.beside
def test_when_the_controller_is_killed_its_profilers_end_and_the_target_runs(
    tmp_path: Path,
) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from perfhunt.model.profile import ProfileMode\n"
        "from perfhunt.profilers.table import PROFILERS\n"
        "pid, out = int(sys.argv[1]), Path(sys.argv[2])\n"
        "PROFILERS['py-spy'].attach([pid], 60, 100, ProfileMode.GIL, out)\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    with running("threads.py", "spin") as target:
        controller = subprocess.Popen(
            [sys.executable, "-c", script, str(target.pid), str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert controller.stdout is not None and controller.stdout.readline() == "ready\n"
        assert eventually(lambda: profilers_of(target.pid))
        controller.kill()
        controller.wait()
        controller.stdout.close()
        assert eventually(lambda: not profilers_of(target.pid), within=2.0)
        assert runs_freely(target.pid)


@pytest.mark.beside
def test_a_target_left_stopped_by_a_profiler_is_woken_and_this_is_said(tmp_path: Path) -> None:
    with running("threads.py", "spin") as target:
        stopper = ProfilerProcess(
            ["sh", "-c", f"kill -STOP {target.pid}; sleep 60"],
            [target.pid],
            tmp_path / "log",
            seconds=60,
            limit=60,
        )
        assert eventually(lambda: not runs_freely(target.pid))
        stopper.stop()
        assert runs_freely(target.pid)
        assert any("woken with SIGCONT" in note for note in stopper.notes)


@pytest.mark.beside
def test_a_target_that_somebody_else_had_stopped_stays_stopped(tmp_path: Path) -> None:
    with running("threads.py", "spin") as target:
        os.kill(target.pid, signal.SIGSTOP)
        assert eventually(lambda: not runs_freely(target.pid))
        ProfilerProcess(
            ["sleep", "60"], [target.pid], tmp_path / "log", seconds=0.1, limit=5
        ).wait()
        assert not runs_freely(target.pid)


@needs_py_spy
@pytest.mark.beside
def test_a_process_that_is_gone_or_not_python_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(AttachFailed, match="no process"):
        PY_SPY.attach([2**22 - 1], 1, 100, ProfileMode.GIL, tmp_path).wait()
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        with pytest.raises(AttachFailed, match=str(sleeper.pid)) as refused:
            PY_SPY.attach([sleeper.pid], 1, 100, ProfileMode.GIL, tmp_path).wait()
        sleeper.kill()
    assert "Stack backtrace" not in refused.value.message


def asleep_in_a_call(pid: int, tid: int) -> bool:
    """Whether a thread has got to the call it waits in, and waits for no lock on the way."""
    doing = Path(f"/proc/{pid}/task/{tid}/syscall").read_text().split()[0]
    return doing not in ("running", "202")  # 202: futex(2), the GIL's


@needs_py_spy
def test_an_instant_joins_each_stack_with_what_its_thread_waits_for() -> None:
    roles = (
        "spin",
        "spin",
        "spin",
        "lock",
        "queue_get",
        "receive",
        "receive_with_timeout",
        "sleep",
        "epoll",
    )
    with running("threads.py", *roles) as target:
        receiving = target.told["tids"]["receive_with_timeout"]
        assert eventually(lambda: all(asleep_in_a_call(target.pid, tid) for tid in receiving))
        instants = InstantsCapture([target.pid], 2.5, make=cpython_looker).wait()
        assert runs_freely(target.pid)
        role_of = {tid: role for role, tids in target.told["tids"].items() for tid in tids}
        endpoint = f"127.0.0.1:{target.told['port']}"
    assert len(instants) >= 5 and instants.errors == 0
    expected = {
        "lock": ThreadState.LOCK,
        "queue_get": ThreadState.LOCK,
        "receive": ThreadState.SOCKET,
        "receive_with_timeout": ThreadState.SOCKET,
        "sleep": ThreadState.SLEEP,
        "epoll": ThreadState.POLL,
    }
    spinning: Counter[str] = Counter()
    for instant in instants:
        assert len(instant.threads) == len(roles) + 1
        assert sum(thread.holds_gil for thread in instant.threads) <= 1
        for thread in instant.threads:
            role = role_of.get(thread.tid, "main")
            if role == "spin":
                assert thread.stack[-1].function == "spin"
                spinning[thread.state] += 1
            elif role != "main":
                assert thread.state == expected[role], role
                assert role in [frame.function for frame in thread.stack]
                assert (thread.wait_on == endpoint) == role.startswith("receive")
    assert set(spinning) <= {ThreadState.GIL, ThreadState.ON_CPU, ThreadState.RUN_QUEUE}
    assert (
        spinning[ThreadState.GIL] > 0.1 * spinning.total()
    )  # the rest is the machine's: its cores may be busy


def old_python() -> str:
    """A Python older than 3.11 that runs here, whose threads have no number in memory; ""."""
    return next(filter(None, map(interpreter, ("3.10", "3.9", "3.8"))), "")


@needs_py_spy
@pytest.mark.parametrize("program", [sys.executable, old_python()], ids=["ours", "old"])
@pytest.mark.beside
def test_in_a_container_stacks_and_states_meet_although_the_numbers_differ(program: str) -> None:
    if not program:
        pytest.skip("no Python older than 3.11 here, whose threads have no number in memory")
    with in_own_pids("threads.py", "lock", "sleep", "receive", program=program) as target:
        inside = {tid: role for role, tids in target.told["tids"].items() for tid in tids}
        names = [path.read_text() for path in Path(f"/proc/{target.pid}/task").glob("*/status")]
        numbers = [line.split() for text in names for line in text.splitlines() if "NSpid:" in line]
        role_of = {int(own[1]): inside.get(int(own[-1]), "main") for own in numbers}
        capture = InstantsCapture([target.pid], 1.5, make=cpython_looker)
        instants = capture.wait()
    assert len(instants) >= 3 and set(role_of.values()) == {"lock", "sleep", "receive", "main"}
    expected = {"lock": ThreadState.LOCK, "sleep": ThreadState.SLEEP, "receive": ThreadState.SOCKET}
    for instant in instants:
        assert {thread.tid for thread in instant.threads} == set(role_of)
        for thread in instant.threads:
            if (role := role_of[thread.tid]) != "main":
                assert role in [frame.function for frame in thread.stack]
                assert thread.state == expected[role]


@needs_py_spy
@pytest.mark.beside
def test_in_a_container_a_thread_that_sleeps_is_not_taken_for_one_that_runs(tmp_path: Path) -> None:
    with in_own_pids("threads.py", "spin", "receive", "lock") as target:
        process = process_of(target.pid)
        assert process is not None
        seen = TargetProcess(target.pid, (process,), (), (target.pid,), "cpython", "3.12.1")
        mode, _ = PY_SPY.mode_for(seen)
        profile = PY_SPY.attach([target.pid], 2, 100, mode, tmp_path).wait()
        told = {check.name: check.sentence for check in checks(seen)}
    assert leaves(profile)["spin"] >= 0.95 * profile.total > 0
    assert "is pid 1 in its container" in told["thread numbers"]
    assert told["thread waits"] == "what the threads wait for may be read"


@pytest.mark.skipif(bool(PROFILERS["perf"].available()), reason=PROFILERS["perf"].available())
def test_perf_sees_native_functions_of_a_process_that_is_not_python(tmp_path: Path) -> None:
    with subprocess.Popen(["sha256sum", "/dev/zero"], stdout=subprocess.DEVNULL) as hasher:
        profile = PROFILERS["perf"].attach([hasher.pid], 2, 99, ProfileMode.CPU, tmp_path).wait()
        assert runs_freely(hasher.pid)
        hasher.kill()
    assert profile.tool == "perf" and profile.version and profile.total > 50
    assert {stack[-1].kind for stack in profile.stacks} <= {"native", "kernel"}
    assert any(
        "sha256sum" in frame.file or "crypto" in frame.file
        for stack in profile.stacks
        for frame in stack
    )
    assert (tmp_path / profile.raw).read_text().startswith("sha256sum")


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_node_tells_a_hot_function_from_one_that_does_a_tenth_and_the_door_is_closed_again(
    tmp_path: Path,
) -> None:
    if why := PROFILERS["node"].available():
        pytest.skip(why)
    with running("spin.js", program="node") as target:
        profile = PROFILERS["node"].attach([target.pid], 2, 500, ProfileMode.CPU, tmp_path).wait()
        assert not held_listening(target.pid) and target.process.poll() is None
    in_thread = sum(
        n for stack, n in profile.stacks.items() if "beside" in {f.function for f in stack}
    )
    hot, cold = leaves(profile)["hot"] - in_thread, leaves(profile)["cold"]
    assert 5 < hot / cold < 20
    assert in_thread > cold and (hot + cold + in_thread) > 0.9 * profile.total
    assert next(f for stack in profile.stacks for f in stack if f.function == "hot").file.endswith(
        "spin.js"
    )


@pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed")
@pytest.mark.beside
def test_go_gives_its_own_profile_over_http_and_says_when_it_serves_none(tmp_path: Path) -> None:
    program = tmp_path / "spin"
    source = Path(__file__).parent / "profiler_targets" / "spin.go"
    subprocess.run(["go", "build", "-o", program, source], check=True, timeout=120)
    with running("", program=str(program)) as target:
        assert PROFILERS["go"].available([target.pid]) == ""
        profile = PROFILERS["go"].attach([target.pid], 2, 100, ProfileMode.CPU, tmp_path).wait()
        told = GoToldLooker(target.pid, ("127.0.0.1", target.told["port"])).look()
    assert any(sample.stack and sample.stack[0].function == "main.main" for sample in told)
    took = max(profile.allocated, key=lambda stack: profile.allocated[stack])
    assert took[-1].function == "main.take"
    hot, cold = (leaves(profile)[name] for name in ("main.hot", "main.cold"))
    assert 5 < hot / cold < 25
    assert profile.seconds == pytest.approx(2.0, abs=0.3) and profile.ticks == pytest.approx(
        200, abs=30
    )
    frame = next(f for stack in profile.stacks for f in stack if f.function == "main.hot")
    assert frame.file.endswith("spin.go") and frame.line in range(13, 20)
    with running("threads.py", "sleep") as other:
        assert "serves" in PROFILERS["go"].available([other.pid])
        with pytest.raises(AttachFailed, match="serves"):
            PROFILERS["go"].attach([other.pid], 1, 100, ProfileMode.CPU, tmp_path)


@pytest.mark.skipif(bool(PROFILERS["jvm"].available()), reason=PROFILERS["jvm"].available())
@pytest.mark.beside
def test_a_live_jvm_is_sampled_by_its_own_recorder_which_is_stopped_again(tmp_path: Path) -> None:
    with running("Spin.java", program="java") as target:
        profile = PROFILERS["jvm"].attach([target.pid], 2, 100, ProfileMode.CPU, tmp_path).wait()
        check = subprocess.run(
            ["jcmd", str(target.pid), "JFR.check"], capture_output=True, text=True, timeout=30
        )
        assert "No available recordings" in check.stdout
    hot, cold = (leaves(profile)[name] for name in ("Spin.hot", "Spin.cold"))
    assert hot + cold > 0.8 * profile.total > 50
    assert hot > 4 * max(1, cold)
    assert {frame.kind for stack in profile.stacks for frame in stack} == {"jvm"}


@pytest.mark.beside
@pytest.mark.parametrize(("name", "why"), [("sleep", "not node"), ("node", "would end")])
def test_what_the_signal_would_kill_is_never_sent_it(tmp_path: Path, name: str, why: str) -> None:
    if closed := PROFILERS["node"].available():
        pytest.skip(closed)
    program = shutil.copy(shutil.which("sleep") or "", tmp_path / name)
    with subprocess.Popen([program, "60"]) as sleeper:
        with pytest.raises(AttachFailed, match=why):
            PROFILERS["node"].attach([sleeper.pid], 1, 100, ProfileMode.CPU, tmp_path)
        assert sleeper.poll() is None
        sleeper.kill()
