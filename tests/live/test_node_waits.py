"""Waits in the promises of a live Node process, each beside decoys: seen where it is planted, and
held up by what holds it.
"""

from __future__ import annotations

import http.client
import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import EvidenceReading, read_evidence
from perfhunt.analysis.blame.wait_for import Contention
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.model.profile import Instant, Instants, ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.profilers.instants import InstantsCapture
from perfhunt.profilers.node import looks
from perfhunt.profilers.node.door import closed_by
from perfhunt.profilers.table import looker_maker
from perfhunt.target.proc.sockets import held_listening
from tests.live.profiler_targets.launch import Target, running

pytestmark = [
    pytest.mark.live,
    pytest.mark.beside,
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
]
CLIENTS = 6
NAP = "(anonymous:19)"  # which who holds something calls, where a look may interrupt it
LOOKS = 24  # with as many answers between them as there are clients, however busy the machine is
MOST_LOOKS = 40 * LOOKS
ANSWERS_WITHIN = 60.0  # seconds
IN_TURN = 0.05  # seconds: as long as the slowest answer takes where nobody queues
LOOKED = 1.5  # seconds, where no answer comes meanwhile


@pytest.fixture(scope="module")
def service() -> Iterator[Target]:
    with running("promises.mjs", program="node") as target:
        if why := closed_by(target.pid):
            pytest.skip(why)
        yield target


@contextmanager
def asked(service: Target, path: str) -> Iterator[threading.Semaphore]:
    """Clients that ask for a path, each again as soon as it is answered; the answers, to be
    counted.
    """
    over, answers = threading.Event(), threading.Semaphore(0)

    def client() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", service.told["port"])) as link:
            while not over.is_set():
                link.request("GET", path)
                link.getresponse().read()
                answers.release()

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for each in clients:
        each.start()
    try:
        yield answers
    finally:
        over.set()
        for each in clients:
            each.join()


def looked_at(service: Target, path: str, waits: int = 0, *, from_rest: bool = False) -> Instants:
    """What is seen of the service while clients ask for a path, until so many waits for a lock
    were: without the first looks, when nothing is known yet of what ends a wait. `from_rest`: who
    looks is there before them.
    """
    make, instants = looker_maker("node", opened=True), list[Instant]()
    chance = random.Random(1)
    assert make is not None
    with ExitStack() as there:
        early = there.enter_context(closing(make(service.pid)[0])) if from_rest else None
        answers = there.enter_context(asked(service, path))
        looker = early or there.enter_context(closing(make(service.pid)[0]))
        for n in range(MOST_LOOKS):
            while answers.acquire(blocking=False):  # what came before
                pass
            for _ in range(CLIENTS):
                assert answers.acquire(timeout=ANSWERS_WITHIN)
            time.sleep(chance.uniform(0.0, IN_TURN))  # at any moment between them
            instants.append(Instant(n, tuple(looker.look())))
            waits -= sum(t.state == ThreadState.LOCK for t in instants[-1].threads if t.task)
            if len(instants) >= LOOKS and waits <= 0:
                break
    return Instants(len(instants), tuple(instants[len(instants) // 3 :]))


def read(instants: Instants) -> EvidenceReading:
    return read_evidence(Evidence(Span(100.0, instants=instants), runtime="node"))


def first(instants: Instants) -> str:
    """The function that is ranked first."""
    reading = read(instants)
    return rank(reading, suspects_of(reading))[0].function


def tasks(instants: Instants) -> list[ThreadSample]:
    return [sample for instant in instants for sample in instant.threads if sample.task]


def contention(instants: Instants) -> Contention:
    """The one that most wait at."""
    return max(read(instants).knee.account.graph.contentions, key=lambda c: c.waiting)


@pytest.mark.parametrize(
    ("path", "waiter", "holder", "places"),
    [
        ("/lock", "take", "postEntry", 1),
        ("/chain", "writeLog", "writeLog", 1),
        ("/pool", "take", "runQuery", 2),
        # A queue of callbacks: who has one of the agent's two sockets waits for the other end.
        ("/agent", "askStock", "askStock", 2),
    ],
)
def test_who_has_a_lock_or_a_place_is_told_by_who_was_given_it(
    service: Target, path: str, waiter: str, holder: str, places: int
) -> None:
    instants = looked_at(service, path)
    waited = contention(instants)
    assert waited.told
    assert {name for name, _ in waited.holders} - {NAP} == {holder}
    assert waited.waiter[0] == waiter
    assert waited.is_pool == (places > 1)
    assert waited.waiting > 1  # how many more is the machine's doing
    assert first(instants) == holder
    # The other lock has room for all.
    audited = [t for t in tasks(instants) if any(f.function == "audit" for f in t.stack)]
    assert ThreadState.LOCK not in {t.state for t in audited}
    # Nobody counts twice. Where one request of two is followed it stands for both, give or take.
    assert len(tasks(instants)) < 1.5 * CLIENTS * len(instants)


def test_requests_that_wait_for_each_other_in_a_queue_of_callbacks_are_told_where(
    service: Target,
) -> None:
    waited = contention(looked_at(service, "/queue", waits=1, from_rest=True))
    assert waited.waiter[0] == "/queue"
    assert waited.waiting > 1 and not waited.holders


def test_who_was_given_a_lock_is_told_where_few_requests_are_followed(
    service: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "_STACKS", 0.002)  # of the loop's time, a fifth of what it is else
    waited = contention(looked_at(service, "/chain", 30 * CLIENTS))
    assert waited.told
    assert {name for name, _ in waited.holders} - {NAP} == {"writeLog"}


def test_a_wait_for_another_service_is_at_its_address(service: Target) -> None:
    (slow,) = {s.local_port for s in held_listening(service.pid)} - {service.told["port"]}
    seen = tasks(looked_at(service, "/downstream"))
    waits = [t for t in seen if t.wait_on == f"127.0.0.1:{slow}"]
    assert {t.state for t in waits} == {ThreadState.SOCKET}
    assert len(waits) > len(seen) / 2


def test_what_nothing_has_ended_yet_is_known_by_what_was_begun_for_it(service: Target) -> None:
    (slow,) = {s.local_port for s in held_listening(service.pid)} - {service.told["port"]}
    make = looker_maker("node", opened=True)
    assert make is not None
    capture = InstantsCapture([service.pid], LOOKED, make=make)
    with asked(service, "/late"):  # which answers when the looks are over
        seen = [(t.state, t.wait_on) for t in tasks(capture.wait())]
    assert len(seen) > CLIENTS
    assert set(seen) == {(ThreadState.SOCKET, f"127.0.0.1:{slow}")}


def test_a_wait_for_the_pool_of_threads_is_one_for_helpers(service: Target) -> None:
    instants = looked_at(service, "/threads")
    waited = contention(instants)
    assert waited.waiter[0] == "derive"
    assert waited.handoff
    assert waited.waiting > len(tasks(instants)) / len(instants) / 2
    assert first(instants) == "derive"


def test_a_function_that_sleeps_on_the_loop_is_found_asleep_there(service: Target) -> None:
    own = read(looked_at(service, "/blocked")).knee.account.own
    asleep = {
        name: float(counts.mean())
        for ((name, _), state), counts in own.items()
        if state == ThreadState.LOCK
    }
    assert max(asleep, key=lambda name: asleep[name]) == "pause"


def test_a_service_that_holds_nobody_up_has_no_contention(service: Target) -> None:
    graph = read(looked_at(service, "/nothing")).knee.account.graph
    assert not [c for c in graph.contentions if c.waiting > 0.5]
    # What was put in is taken out again.
    assert service.process.poll() is None
    assert len(held_listening(service.pid)) == 2
