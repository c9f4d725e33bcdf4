"""CPython's threads and tasks, read from the memory of real processes of every version at hand."""

import importlib.util
import math
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from perfhunt.model.profile import COLLECTS_GARBAGE, Instants, ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.profilers.cpython.looks import CpythonLooker
from perfhunt.profilers.instants import InstantsCapture
from perfhunt.profilers.py_spy.dump import take_dump
from perfhunt.profilers.py_spy.program import unusable
from perfhunt.profilers.table import cpython_looker
from tests.live.profiler_targets.launch import interpreter, running, runs_freely
from tests.live.running import until

pytestmark = pytest.mark.live
ON_CPU, RUN_QUEUE = ThreadState.ON_CPU, ThreadState.RUN_QUEUE
WITH_GIL = ("3.11", "3.12", "3.13", "3.14", "3.15")
VERSIONS = (*WITH_GIL, "3.13t", "3.14t", "3.15t")
OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"
# What takes seconds is tried on this Python; on the others where everything is.
OTHERS_LONG = [
    version if version == OWN else pytest.param(version, marks=pytest.mark.long)
    for version in VERSIONS
]


def needed(version: str) -> str:
    """The interpreter, or a skip with the reason."""
    program = interpreter(version)
    if not program:
        pytest.skip(f"no Python {version} is here, or none runs")
    return program


def functions(sample: ThreadSample) -> list[str]:
    return [frame.function for frame in sample.stack]


@pytest.mark.parametrize("version", OTHERS_LONG)
def test_every_thread_is_where_it_is_known_to_be(version: str) -> None:
    roles = ("spin", "lock", "lock", "sleep", "receive", "epoll")
    with running("threads.py", *roles, program=needed(version)) as target:
        role_of = {tid: role for role, tids in target.told["tids"].items() for tid in tids}
        instants = InstantsCapture([target.pid], 1.5, make=cpython_looker).wait()
        assert runs_freely(target.pid)
    assert not any("dumps" in note for note in instants.notes), instants.notes
    assert len(instants) >= 8 and instants.errors == 0
    expected = {
        "lock": ThreadState.LOCK,
        "sleep": ThreadState.SLEEP,
        "receive": ThreadState.SOCKET,
        "epoll": ThreadState.POLL,
    }
    for thread in (thread for instant in instants for thread in instant.threads):
        role = role_of.get(thread.tid, "main")
        if role in expected:
            assert thread.state == expected[role] and thread.still
            assert role in functions(thread)
        elif role == "spin":
            assert thread.stack[-1].function == "spin" and not thread.still
    # Those who wait for one lock wait on one address, also where each has a semaphore of its own.
    locks = {t.wait_on for i in instants for t in i.threads if role_of.get(t.tid) == "lock"}
    assert len(locks) == 1


@pytest.mark.skipif(bool(unusable()), reason=unusable())
@pytest.mark.beside
@pytest.mark.parametrize("version", WITH_GIL)
def test_stacks_are_those_that_py_spy_sees(version: str) -> None:
    roles = ("lock", "sleep", "receive", "epoll", "queue_get")
    with running("threads.py", *roles, program=needed(version)) as target:
        looker = CpythonLooker(target.pid)
        try:
            # Its first thread has said that it is ready before it reads on: all are to rest first.
            assert until(lambda: all(sample.still for sample in looker.look()), within=10.0)
            ours = {sample.tid: sample for sample in looker.look()}
        finally:
            looker.close()
        theirs = {thread.tid: thread for thread in take_dump(target.pid).threads}
    assert ours.keys() == theirs.keys() and len(ours) == len(roles) + 1
    for tid, thread in theirs.items():
        shown = [frame for frame in thread.stack if frame.file != "<shim>"]
        assert [frame.key for frame in ours[tid].stack] == [frame.key for frame in shown]
        assert [frame.line for frame in ours[tid].stack] == [frame.line for frame in shown]


@pytest.mark.parametrize("version", OTHERS_LONG)
def test_who_collects_garbage_and_for_how_long_is_seen(version: str) -> None:
    with running("garbage.py", program=needed(version)) as target:
        before = target.ask()
        instants = InstantsCapture([target.pid], 3.0, make=cpython_looker).wait()
        after = target.ask()
    collected, used = (b - a for a, b in zip(before, after, strict=True))
    share = collected / used
    assert 0.2 < share < 0.8  # or this is no test of anything
    runs = [t for i in instants for t in i.threads if t.state in (ON_CPU, RUN_QUEUE) and t.stack]
    collecting = [t for t in runs if t.stack[-1] == COLLECTS_GARBAGE]
    # Four standard errors, and what a look that began before and ended after may be off.
    doubt = 4 * math.sqrt(share * (1 - share) / len(runs)) + 0.03
    assert len(collecting) / len(runs) == pytest.approx(share, abs=doubt)
    # The stack is read right before: now and then it is that of who runs on.
    assert sum(t.stack[-2].function == "litter" for t in collecting) > 0.85 * len(collecting)


def waiting(instants: Instants, script: str) -> Counter[tuple[str, ThreadState]]:
    """Tasks and greenlets seen, by the function of the target's script that waits, and what for."""
    counts: Counter[tuple[str, ThreadState]] = Counter()
    for sample in (t for instant in instants for t in instant.threads if t.task):
        ours = [f.function for f in sample.stack if f.file.endswith(script)]
        # One that moves on while it is read may be met without what it began in.
        counts[ours[-1] if ours else "", ThreadState(sample.state)] += 1
    return counts


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("version", OTHERS_LONG)
def test_every_task_awaits_what_it_is_known_to_await(version: str, loop: str) -> None:
    program = needed(version)
    if loop == "uvloop" and (program != sys.executable or not importlib.util.find_spec("uvloop")):
        pytest.skip("uvloop is not installed for this interpreter")
    with running("coroutines.py", loop, program=program) as target:
        instants = InstantsCapture([target.pid], 2.0, make=cpython_looker).wait()
        assert runs_freely(target.pid)
    assert len(instants) >= 8 and instants.errors == 0
    seen = {key: n / len(instants) for key, n in waiting(instants, "coroutines.py").items()}
    # Of four that want the one connection, three wait for it; of three, two for the lock.
    assert seen["Pool.acquire", ThreadState.LOCK] == pytest.approx(3, abs=0.5)
    assert seen["get_balance", ThreadState.SLEEP] == pytest.approx(1, abs=0.5)
    assert seen["update", ThreadState.LOCK] == pytest.approx(2, abs=0.5)
    assert seen["in_a_thread", ThreadState.LOCK] == pytest.approx(1, abs=0.5)
    assert seen["read_socket", ThreadState.SOCKET] == pytest.approx(1, abs=0.5)
    assert seen["numbers", ThreadState.SLEEP] == pytest.approx(1, abs=0.5)
    # Up to CPython 3.11 in a task of its own, which is told as part of the one that awaits it.
    assert seen["in_time", ThreadState.SLEEP] == pytest.approx(1, abs=0.5)
    # What gathers is told by its two parts; the loop of another thread has one such too.
    assert seen["slow_part", ThreadState.SLEEP] == pytest.approx(3, abs=0.6)
    assert not any(function in ("gather_parts", "serve") for function, _ in seen)
    assert sum(n for (function, _), n in seen.items() if not function) < 0.1
    waiters = {
        sample.wait_on
        for instant in instants
        for sample in instant.threads
        if sample.task and sample.stack[-1].function == "Lock.acquire"
    }
    assert len(waiters) == 1 and waiters.pop().startswith("futex:")
    # The chain is named down to the call that waits, by line.
    one = next(s for i in instants for s in i.threads if "Pool.acquire" in functions(s))
    assert functions(one)[:3] == ["again", "get_balance", "Pool.acquire"]
    assert all(frame.line for frame in one.stack)


def rested(looker: CpythonLooker) -> list[ThreadSample]:
    """The samples of tasks that nothing ever wakes."""
    return [s for s in looker.look() if s.task and "read_socket" in functions(s)]


@pytest.mark.beside
@pytest.mark.parametrize("version", VERSIONS)
def test_who_rests_is_told_by_the_sample_of_before_as_a_first_look_tells_it(version: str) -> None:
    with running("coroutines.py", "asyncio", program=needed(version)) as target:
        often, once = CpythonLooker(target.pid), CpythonLooker(target.pid)
        try:
            first = [rested(often) for _ in range(4)][-1]
            (last,) = [rested(often) for _ in range(40)][-1]
            assert first[0] is last and last.state is ThreadState.SOCKET
            assert rested(once) == [last]
        finally:
            often.close()
            once.close()


@pytest.mark.parametrize("version", OTHERS_LONG)
def test_who_overslept_waits_for_the_loop(version: str) -> None:
    with running("coroutines.py", "blocked", program=needed(version)) as target:
        instants = InstantsCapture([target.pid], 1.5, make=cpython_looker).wait()
    states = {
        state: n
        for (function, state), n in waiting(instants, "coroutines.py").items()
        if function == "nap"
    }
    assert states[ThreadState.LOOP] > 4 * states.get(ThreadState.SLEEP, 0)


@pytest.mark.skipif(bool(unusable()), reason=unusable())
def test_a_look_costs_a_fraction_of_a_dump() -> None:
    roles = ["lock"] * 12 + ["sleep"] * 12
    with running("threads.py", "spin", *roles) as target:
        looker = CpythonLooker(target.pid)
        try:
            looker.look()
            began = time.thread_time()
            for _ in range(20):
                assert len(looker.look()) == len(roles) + 2
            look = (time.thread_time() - began) / 20
        finally:
            looker.close()
        dump = take_dump(target.pid).cpu
    assert look < dump / 4


@pytest.mark.beside
def test_a_process_that_is_no_python_is_refused_with_the_reason() -> None:
    from perfhunt.errors import AttachFailed

    with subprocess.Popen(["sleep", "30"]) as other:
        maps = Path(f"/proc/{other.pid}/maps")
        try:
            # Its program is mapped some time after it was started.
            assert until(lambda: "/sleep" in maps.read_text(), within=30.0)
            with pytest.raises(AttachFailed, match="is no Python interpreter"):
                CpythonLooker(other.pid)
        finally:
            other.kill()


@pytest.mark.parametrize("mode", ["alone", "kept"])
def test_every_greenlet_waits_where_it_is_known_to(mode: str) -> None:
    pytest.importorskip("gevent")
    with running("greenlets.py", mode) as target:
        instants = InstantsCapture([target.pid], 2.0, make=cpython_looker).wait()
        assert runs_freely(target.pid)
    assert len(instants) >= 8 and instants.errors == 0
    counts = waiting(instants, "greenlets.py")
    lock, looks = ThreadState.LOCK, len(instants)
    assert counts == {
        ("holds_lock", ThreadState.SLEEP): looks,
        ("wants_lock", lock): 2 * looks,
        ("wants_permit", lock): looks,
        ("wants_native_permit", lock): looks,
        ("wants_event", lock): (2 if mode == "kept" else 1) * looks,
        ("wants_item", lock): looks,
        ("receives", ThreadState.SOCKET): looks,
        ("<module>", ThreadState.SLEEP): looks,
    }
    waits = {
        t.wait_on
        for t in next(iter(instants)).threads
        if t.task and t.stack[0].function == "wants_lock"
    }
    assert len(waits) == 1


def test_greenlets_behind_a_busy_hub_wait_for_the_hub() -> None:
    pytest.importorskip("gevent")
    with running("greenlets.py", "busy") as target:
        instants = InstantsCapture([target.pid], 2.0, make=cpython_looker).wait()
    counts = waiting(instants, "greenlets.py")
    slept, ready = counts["naps", ThreadState.SLEEP], counts["naps", ThreadState.LOOP]
    assert ready > 5 * slept and ready + slept > len(instants)


@pytest.mark.beside
def test_greenlets_that_are_not_looked_for_are_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gevent")
    monkeypatch.setattr("perfhunt.profilers.cpython.greenlets._MOST_MEMORY", 1 << 20)
    with running("greenlets.py") as target:
        capture = InstantsCapture([target.pid], 0.5, make=cpython_looker)
        assert not any(t.task for instant in capture.wait() for t in instant.threads)
    (why,) = (loss.why for loss in capture.losses() if loss.share is None)
    assert why.startswith("greenlets are not looked for in a process of ")
