"""Services of C++ and Rust with one thing planted: is it named, with nothing of them stopped?"""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.frames import Code
from perfhunt.analysis.blame.idle import CLIENT_SOCKET
from perfhunt.model.finding import BottleneckClass
from perfhunt.model.profile import ProfileMode
from perfhunt.model.question import ProcessSelector
from perfhunt.model.states import ThreadState
from perfhunt.profilers.native.inlining import inlining
from perfhunt.profilers.native.looker import NativeLooker
from perfhunt.profilers.probes import LiveProbes
from perfhunt.profilers.table import PROFILERS
from perfhunt.profilers.tokio.looks import TokioLooker
from perfhunt.target.binary.inlined import NEEDED, available
from perfhunt.target.find import find_target
from tests.live.native_targets.build import built, built_with_tokio
from tests.live.profiler_targets.launch import Target, running, runs_freely
from tests.live.zoo.keeper import free_port, start_drive
from tests.unit.scenes import classified, ranked

pytestmark = pytest.mark.live
PERF = PROFILERS["perf"]
needs_perf = pytest.mark.skipif(bool(PERF.available()), reason=PERF.available())
USERS = 6  # of a closed loop: one has the mutex, two have connections, and the others wait
# Where threads begin: of glibc (before 2.34, since), of musl; the first one of either.
ROOTS = {"clone", "clone3", "__clone", "_start", "libc_start_main_stage2"}
NAMED = {"mutex": ("pay", BottleneckClass.LOCK), "pool": ("query", BottleneckClass.POOL)}


def waits_of(target: Target, tmp_path: Path, *, on_cpu: bool = False) -> Evidence:
    """What is seen of a service without load, and of one whose users ask again at once."""
    found = find_target(ProcessSelector(pid=target.pid))
    with closing(LiveProbes(found, tmp_path, time.monotonic)) as probes:
        probes.open()
        idle = probes.idle()
        load = start_drive(target.told["port"], 3.5, "users", USERS)
        with probes.during("knee", 3.0, on_cpu=on_cpu, waits=True, settle=0.5) as attached:
            said = json.loads(load.communicate()[0])
    span = Span(
        said["completed"],
        said["mean"],
        profile=attached.profile,
        instants=attached.instants,
        states=attached.states,
        resources=probes.resources(),
    )
    return Evidence(span, idle=idle, runtime=found.runtime, application=found.application)


@pytest.mark.parametrize(
    ("form", "planted"),
    [
        ("cpp", "mutex"),
        ("rust", "pool"),
        pytest.param("cpp with frame pointers", "pool", marks=pytest.mark.long),
        pytest.param("cpp with frame pointers", "mutex", marks=pytest.mark.long),
        pytest.param("cpp", "pool", marks=pytest.mark.long),
        pytest.param("cpp static", "mutex", marks=pytest.mark.long),
        pytest.param("rust for musl", "mutex", marks=pytest.mark.long),
        pytest.param("rust", "mutex", marks=pytest.mark.long),
        pytest.param("rust with frame pointers", "mutex", marks=pytest.mark.long),
        pytest.param("rust with frame pointers", "pool", marks=pytest.mark.long),
    ],
)
def test_the_function_that_holds_what_others_wait_for_is_named_first(
    form: str, planted: str, tmp_path: Path
) -> None:
    with running("", planted, program=built(form)) as target:
        evidence = waits_of(target, tmp_path)
        assert runs_freely(target.pid)
    function, kind = NAMED[planted]
    assert ranked(evidence)[0].function.endswith(f"shop::{function}"), ranked(evidence)
    assert classified(evidence).category == kind, classified(evidence)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("planted", "kind", "named", "most"),
    [
        ("mutex", BottleneckClass.LOCK, "tok::serve", 1),
        ("ask", BottleneckClass.DOWNSTREAM, "tok::serve", 0),
        pytest.param("pool", BottleneckClass.POOL, "tok::serve", 2, marks=pytest.mark.long),
        pytest.param("channel", BottleneckClass.WORKERS, "tok::deliver", 1, marks=pytest.mark.long),
    ],
)
def test_tasks_that_wait_are_seen_without_tokios_console(
    planted: str, kind: BottleneckClass, named: str, most: int, tmp_path: Path
) -> None:
    program = built_with_tokio(console=False)
    with running("", planted, "0", program=program) as target:
        with closing(TokioLooker(target.pid)) as looker:
            looker.look()
            if "Permission denied" in looker.unseen:
                pytest.skip(looker.unseen)
            told, used = looker.cpu, time.process_time()
            for _ in range(20):
                looker.look()
            # What following its calls takes counts once; told every 20 ms.
            assert looker.cpu - told < time.process_time() - used + 0.02
        evidence = waits_of(target, tmp_path)
        assert runs_freely(target.pid)
    instants = evidence.knee.instants
    assert instants is not None
    samples = [s for instant in instants for s in instant.threads]
    there = [s for s in samples if s.task and s.stack[0].function == "tok::serve"]
    served = sum(not s.wait_on.startswith(CLIENT_SOCKET) for s in there) / len(instants)
    had = sum(bool(s.holds) for s in samples) / len(instants)
    # By Little's law so many requests are in the service, and each of them waits for something.
    assert served == pytest.approx(evidence.knee.requests, rel=0.2)
    assert had == pytest.approx(most, rel=0.3)
    assert ranked(evidence)[0].function == named, ranked(evidence)
    assert classified(evidence).category == kind, classified(evidence)


@needs_perf
@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("planted", "kind", "named"),
    [
        ("mutex", BottleneckClass.LOCK, "Mutex of src/main.rs"),
        ("pool", BottleneckClass.POOL, "Semaphore of src/main.rs"),
        ("block", BottleneckClass.EVENT_LOOP_BLOCKED, "task of src/main.rs"),
    ],
)
def test_tokios_console_says_who_waits_for_what_and_which_task_blocks(
    planted: str, kind: BottleneckClass, named: str, tmp_path: Path
) -> None:
    port = str(free_port())
    with running("", planted, "0", port, program=built_with_tokio(console=True)) as target:
        evidence = waits_of(target, tmp_path, on_cpu=True)
    bottleneck = classified(evidence)
    assert bottleneck.category == kind, bottleneck
    assert any(named in sentence for sentence in bottleneck.evidence), bottleneck
    if planted != "block":
        assert ranked(evidence)[0].function.startswith(named), ranked(evidence)


@needs_perf
@pytest.mark.beside
@pytest.mark.skipif(not available(), reason=f"{NEEDED} is not installed")
@pytest.mark.parametrize("form", ["cpp with debug information apart", "rust with frame pointers"])
def test_perf_names_the_function_that_computes_though_inlined_and_all_that_called_it(
    form: str, tmp_path: Path
) -> None:
    with running("", "hot", program=built(form)) as target:
        load = start_drive(target.told["port"], 3.0, "users", 2)
        profile = PERF.attach([target.pid], 2, 99, ProfileMode.CPU, tmp_path).wait()
        load.communicate()
        assert inlining(target.pid) == "inlined calls by its debug information"
    computing, called, inlined = 0.0, 0.0, 0.0
    for stack, n in profile.stacks.items():
        names = [frame.function.rpartition("::")[2] for frame in stack]
        if "price" in names:
            computing += n
            called += n * ("serve" in names[: names.index("price")])
        inlined += n * any(name == "mix" and f.line for name, f in zip(names, stack, strict=True))
    assert computing > 0.8 * profile.total
    assert called > 0.8 * computing
    assert inlined > 0.5 * computing  # the rest counts the rounds, which `price` does itself


@pytest.mark.beside
@pytest.mark.parametrize(
    "form", ["cpp", "cpp static", "cpp without unwind tables", "rust", "rust for musl"]
)
def test_stacks_of_running_and_sleeping_threads_reach_their_root(form: str) -> None:
    with running("", "mutex", program=built(form)) as target:
        load = start_drive(target.told["port"], 2.5, "users", 6)
        with closing(NativeLooker(target.pid)) as looker:
            samples = []
            for _ in range(30):
                samples += looker.look()
                time.sleep(0.05)
            told = looker.unseen
        assert "since it has no debug information" in inlining(target.pid)
        assert runs_freely(target.pid)
        load.communicate()
    stacks = [[frame.function for frame in sample.stack] for sample in samples if sample.stack]
    assert len(stacks) > 0.95 * len(samples)
    rooted = [stack for stack in stacks if stack[0] in ROOTS]
    # One that ran on while its stack was copied may end early, which is told.
    assert len(rooted) > 0.97 * len(stacks)
    assert "which end early" in told if told else len(rooted) == len(stacks)
    waiting = [s for s in samples if s.state == ThreadState.LOCK and s.tid != target.pid]
    assert waiting
    # Also where the C library is within the program.
    owners = [Code.of(s.stack for s in samples).owner(s.stack) for s in waiting]
    assert all(o is not None and o.frame.function.endswith("shop::pay") for o in owners)
    if form.startswith(
        "cpp"
    ):  # glibc keeps who has a mutex: one of those that are in the same function
        holders = [s for s in samples if s.holds]
        assert holders
        assert all(any(f.function.endswith("shop::pay") for f in s.stack) for s in holders)
