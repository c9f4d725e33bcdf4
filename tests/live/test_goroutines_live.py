"""Goroutines of a real service, read from its memory: beside what Go says of them itself."""

import re
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.blame.wait_for import Contention
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.model.profile import Instants, ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.profilers.go.looks import GoLooker, go_looker
from perfhunt.profilers.instants import InstantsCapture
from tests.live.profiler_targets.launch import HERE, Target, running

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed"),
]
BUILDS = {"as usual": (), "stripped, anywhere": ("-ldflags=-s -w", "-buildmode=pie")}
CALL = re.compile(r"^([^\s(].*)\(.*\)$\n^\t(\S+):(\d+)", re.MULTILINE)
NAMES = [
    "lockMutex",
    "lockShared",
    "waitCondition",
    "waitGroup",
    "sendOne",
    "sendSeveral",
    "receive",
    "choose",
    "doze",
    "read",
    "parent",
    "child",
]
PARKED = {f"main.{name}" for name in NAMES}
CLIENTS = 8


@pytest.fixture(scope="session", params=BUILDS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    built: Path = tmp_path_factory.mktemp("go") / "waits"
    options = BUILDS[request.param]
    subprocess.run(
        ["go", "build", *options, "-o", built, HERE / "waits.go"], check=True, timeout=300
    )
    return built


def as_go_tells(text: str) -> Counter[tuple[tuple[str, str, int], ...]]:
    """The stacks that runtime.Stack prints, root first, without the line of who began them."""
    told: Counter[tuple[tuple[str, str, int], ...]] = Counter()
    for goroutine in text.split("\n\n"):
        calls = CALL.findall(goroutine.partition("\ncreated by")[0])
        told[tuple((name, file, int(line)) for name, file, line in reversed(calls))] += 1
    return told


def looked_at(target: Target) -> list[ThreadSample]:
    looker = GoLooker(target.pid)
    try:
        return looker.look()
    finally:
        looker.close()


def page(target: Target, path: str) -> str:
    with urlopen(f"http://127.0.0.1:{target.told['port']}{path}", timeout=10) as answer:
        return str(answer.read().decode())


@pytest.mark.beside
def test_every_goroutine_has_the_stack_that_go_tells_of_it(program: Path) -> None:
    with running("", program=str(program)) as target:
        # What the runtime calls beneath, Go leaves out.
        seen = Counter(
            tuple(
                (frame.function, frame.file, frame.line)
                for frame in sample.stack
                if not frame.function.startswith("runtime.")
            )
            for sample in looked_at(target)
        )
        told = as_go_tells(page(target, "/stacks"))
    parked = {stack: n for stack, n in told.items() if stack[0][0] in PARKED}
    assert {stack[0][0] for stack in parked} == PARKED
    assert {stack: seen[stack] for stack in parked} == parked


@pytest.mark.beside
def test_what_each_goroutine_waits_for_is_named(program: Path) -> None:
    with running("", program=str(program)) as target:
        samples = looked_at(target)
    of = {
        name: [s for s in samples if s.stack and s.stack[0].function == f"main.{name}"]
        for name in NAMES
    }
    assert all(of.values())
    locks = [name for name in of if name not in ("doze", "read", "child")]
    assert {name for name in of if all(s.state == ThreadState.LOCK for s in of[name])} == {*locks}
    assert len({s.wait_on for s in of["lockMutex"]}) == 1 and len(of["lockMutex"]) == 2
    assert all(s.wait_on.startswith("futex:0x") for s in of["lockMutex"])
    (several,) = {s.wait_on for name in ("sendSeveral", "choose") for s in of[name]}
    assert several.startswith("futex:several:")
    (one,), (waits,) = of["sendOne"], of["receive"]
    assert one.wait_on.startswith("futex:channel:0x") and one.wait_on != waits.wait_on
    assert [(s.state, s.wait_on) for s in of["read"]] == [(ThreadState.SOCKET, target.told["peer"])]
    assert [s.state for s in of["doze"] + of["child"]] == [ThreadState.SLEEP] * 2
    (parent,), (child,) = of["parent"], of["child"]
    assert parent.wait_on in child.holds and not any(s.holds for s in of["doze"])


@contextmanager
def asked(target: Target, path: str, clients: int) -> Iterator[Callable[[], int]]:
    """So many clients ask for a page one after the other while the block lasts; how many answers
    there were so far.
    """
    over, answers = threading.Event(), list[None]()

    def client() -> None:
        while not over.is_set():
            page(target, path)
            answers.append(None)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield lambda: len(answers)
    finally:
        over.set()
        for thread in threads:
            thread.join()


def span(target: Target, path: str, clients: int) -> Span:
    """A second and a half of such load."""
    with asked(target, path, clients) as answers:
        before, began = answers(), time.monotonic()
        capture = InstantsCapture([target.pid], 1.5, make=go_looker)
        instants = capture.wait()
        rate = (answers() - before) / (time.monotonic() - began)
    return Span(completed=rate, service=clients / rate, instants=instants)


def idle(target: Target) -> Instants:
    return InstantsCapture([target.pid], 0.7, make=go_looker).wait()


@pytest.mark.parametrize("program", ["as usual"], indirect=True)
@pytest.mark.parametrize(
    ("path", "culprit", "at_once"), [("/enter", "main.enter", 1), ("/borrow", "main.borrow", 3)]
)
def test_who_holds_a_lock_or_a_pool_is_found_beside_decoys(
    program: Path, path: str, culprit: str, at_once: int
) -> None:
    with running("", program=str(program)) as target:
        evidence = Evidence(
            idle=idle(target),
            baseline=span(target, path, 1),
            knee=span(target, path, CLIENTS),
            runtime="go",
        )
    reading = read_evidence(evidence)
    busiest: Contention = max(reading.knee.account.graph.contentions, key=lambda c: c.waiting)
    assert busiest.waiter[0] == culprit and {name for name, _ in busiest.holders} == {culprit}
    assert busiest.is_pool is (at_once > 1)
    assert busiest.concurrent == pytest.approx(at_once, rel=0.15)
    assert rank(reading, suspects_of(reading))[0].function == culprit
    # Little's law: those that are not inside wait, but for what the clients take.
    assert 0.5 * (CLIENTS - at_once) < busiest.waiting <= CLIENTS - at_once + 0.5


@pytest.mark.beside
@pytest.mark.parametrize("program", ["as usual"], indirect=True)
def test_nobody_holds_what_every_tick_of_a_timer_brings(program: Path) -> None:
    with running("", program=str(program)) as target:
        at_rest, knee = idle(target), span(target, "/turn", CLIENTS)
    reading = read_evidence(Evidence(knee, idle=at_rest, runtime="go"))
    busiest: Contention = max(reading.knee.account.graph.contentions, key=lambda c: c.waiting)
    # Others sleep at the same time, two at once, who were let go.
    assert busiest.paced and not busiest.holders
    assert busiest.waiter[0] == "main.takeTurn"
