"""HotSpot's thread dumps, and what is made of them: the golden ones are of one program, which holds
a monitor and a lock that others want, under two JDKs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfhunt.model.states import ThreadState
from perfhunt.profilers.jvm import looks
from perfhunt.profilers.jvm.dump import DumpError, DumpReader, JavaState, JavaThread
from perfhunt.profilers.jvm.looks import JvmLooker, _JavaWatched
from perfhunt.target.proc.waits import Wait

GOLDEN = Path(__file__).parents[2] / "golden" / "profilers"
DUMPS = {n: (GOLDEN / f"java-{n}-dump.txt").read_text() for n in (17, 25)}


def threads_of(dump: str) -> dict[str, JavaThread]:
    return {thread.name: thread for thread in DumpReader().read(dump)}


@pytest.mark.parametrize("jdk", DUMPS)
def test_who_has_what_others_wait_for_is_told(jdk: int) -> None:
    threads = threads_of(DUMPS[jdk])
    holder = threads["held-1"]
    for waiter, state, held in (
        (threads["wants-m-1"], JavaState.BLOCKED, holder.monitors),
        (threads["wants-l-1"], JavaState.PARKED, {o.address for o in holder.synchronizers}),
    ):
        assert waiter.state is state and waiter.waits_for is not None
        assert {waiter.waits_for.address} == held
    assert holder.state is JavaState.SLEEPING
    assert [f.function for f in holder.stack if f.file == "V"] == ["V.held"]
    assert [f.line for f in holder.stack if f.file == "V"] == [6]


@pytest.mark.parametrize("jdk", DUMPS)
def test_a_monitor_that_was_given_back_to_wait_for_notice_is_not_held(jdk: int) -> None:
    waits = threads_of(DUMPS[jdk])["notified 1"]
    assert waits.state is JavaState.NOTIFIED and waits.waits_for is not None
    assert not waits.monitors and not waits.timed


def test_what_a_virtual_thread_runs_is_on_its_carrier() -> None:
    """JDK 25 has the number of such a carrier in brackets alone, and two stacks."""
    (carrier,) = [each for each in DumpReader().read(DUMPS[25]) if each.carries]
    assert carrier.nid > 0 and carrier.state is JavaState.RUNNABLE
    assert [f.function for f in carrier.stack][-2:] == ["V.spin", "V.compute"]
    assert not any("runContinuation" in frame.function for frame in carrier.stack)


def test_every_thread_with_a_number_is_there_and_once() -> None:
    for text in DUMPS.values():
        heads = [line for line in text.splitlines() if line.startswith('"')]
        assert len(DumpReader().read(text)) == len(heads) > 10


def test_threads_that_stand_where_others_do_are_told_apart() -> None:
    body = "   java.lang.Thread.State: RUNNABLE\n\tat a.B.c(B.java:1)\n\n"
    heads = [f'"pool-{n}" #{n} prio=5 tid=0x1 nid=0x{n:x} runnable\n' for n in (10, 11)]
    reader = DumpReader()
    for _ in range(2):  # the second time they are known
        one, two = reader.read("".join(head + body for head in heads))
        assert (one.nid, one.name, two.nid, two.name) == (10, "pool-10", 11, "pool-11")
        assert one.stack == two.stack and one.stack[0].key == ("a.B.c", "a.B")


def test_a_line_that_is_no_frame_is_an_error_with_its_number() -> None:
    head = 'Full thread dump\n"main" #1 prio=5 tid=0x1 nid=0x9 runnable\n'
    with pytest.raises(DumpError, match="Line 4 "):
        DumpReader().read(f"{head}\tat a.B.c(B.java:1)\n\tat nonsense\n")


@given(st.lists(st.sampled_from("\n".join(DUMPS.values()).split("\n")), max_size=60))
def test_lines_in_any_order_are_read_or_refused(lines: list[str]) -> None:
    for thread in DumpReader().read("\n".join(lines)):
        assert thread.nid >= 0


@pytest.fixture
def looker(monkeypatch: pytest.MonkeyPatch) -> JvmLooker:
    """One that has asked no JVM."""
    monkeypatch.setattr(looks, "AttachSocket", lambda pid: None)
    return JvmLooker(1)


def waits_of(looker: JvmLooker, *parked: str) -> list[Wait | None]:
    """How threads wait that park for objects of these classes, all of one address."""
    dump = "".join(
        f'"t{n}" #{n} prio=5 tid=0x1 nid=0x{n:x} waiting\n'
        "   java.lang.Thread.State: WAITING (parking)\n"
        "\tat jdk.internal.misc.Unsafe.park(java.base@17/Native Method)\n"
        f"\t- parking to wait for  <0x00aa> (a {of})\n\n"
        for n, of in enumerate(parked, 1)
    )
    return [looker._waited(thread) for thread in DumpReader().read(dump)]


def test_waiters_of_a_lock_share_its_name_and_those_of_a_pool_have_each_their_own(
    looker: JvmLooker,
) -> None:
    lock = "java.util.concurrent.locks.ReentrantReadWriteLock$FairSync"
    for of, shared in (
        (lock, True),
        ("java.util.concurrent.Semaphore$NonfairSync", False),
        ("java.util.concurrent.locks.AbstractQueuedSynchronizer$ConditionObject", False),
    ):
        one, two = waits_of(looker, of, of)
        assert one is not None and two is not None
        assert one.state is two.state is ThreadState.LOCK
        assert (one.on == two.on) is shared, of


def test_a_lock_of_somebody_s_own_is_one_when_a_thread_was_seen_to_have_it(
    looker: JvmLooker,
) -> None:
    one, two = waits_of(looker, "app.Gate$Sync", "app.Gate$Sync")
    assert one is not None and two is not None and one.on != two.on
    looker._exclusive.add("app.Gate$Sync")
    one, two = waits_of(looker, "app.Gate$Sync", "app.Gate$Sync")
    assert one == two == Wait(ThreadState.LOCK, "futex:0xaa")


def test_who_waits_for_a_result_is_in_no_lock(looker: JvmLooker) -> None:
    result = "java.util.concurrent.CompletableFuture$Signaller"
    (wait,) = waits_of(looker, result)
    assert wait is not None and wait.state is ThreadState.AWAIT


ASLEEP = b"202 0x7f 0x80 0x0 0x0 0x0 0x0 0x7ffe 0x7f00\n"  # a futex


@dataclass
class Told:
    """What the kernel says of a thread."""

    said: bytes

    def line(self) -> bytes:
        return self.said

    def close(self) -> None:
        return


def watched(ran: bytes, call: bytes) -> _JavaWatched:
    files: Any = {"schedstat": Told(ran), "syscall": Told(call)}
    return _JavaWatched(tid=1, own=1, name="", **files)


def test_a_thread_that_was_woken_and_has_not_come_to_run_waits_for_a_cpu(looker: JvmLooker) -> None:
    """For the JVM it is parked still: only the kernel knows that it could go on."""
    threads = threads_of(DUMPS[17])
    asleep, woken = (
        looker._sample(threads["wants-l-1"], watched(b"5 5 1", call))
        for call in (ASLEEP, b"running\n")
    )
    assert (asleep.state, woken.state) == (ThreadState.LOCK, ThreadState.RUN_QUEUE)
    assert asleep.wait_on in looker._sample(threads["held-1"], watched(b"1 1 1", ASLEEP)).holds


def test_who_slept_on_where_the_jvm_says_the_same_is_as_before(looker: JvmLooker) -> None:
    parked, blocked = (threads_of(DUMPS[17])[name] for name in ("wants-l-1", "wants-m-1"))
    thread: Any = watched(b"5 5 1", ASLEEP)
    before = looker._sample(parked, thread)
    assert looker._sample(parked, thread) is before
    assert looker._sample(blocked, thread) != before
    again = looker._sample(parked, thread)
    thread.schedstat.said, thread.syscall.said = b"6 5 2", b"running\n"
    assert looker._sample(parked, thread).state is not again.state


def test_a_collection_beside_a_dump_is_none_of_its_cost(looker: JvmLooker) -> None:
    looker._lists = True
    for took in (0.004, 0.004, 0.4, 0.004):
        looker._weigh(took, listed=True)
    assert looker.cpu == pytest.approx(0.02) and looker._lists
    for _ in range(9):
        looker._weigh(0.01, listed=True)
    assert not looker._lists  # a heap that has grown


@pytest.mark.parametrize(
    ("takes", "stands_still"),
    [(0.0002, 0.002), (0.001, 0.006), (0.0024, 0.006), (0.005, 0.0125), (0.05, 0.015)],
)
def test_looks_are_as_seldom_as_the_service_may_stand_still(
    looker: JvmLooker, takes: float, stands_still: float
) -> None:
    """In 0.6 % of the time, where that pays for 2.5 looks a second; else in up to 1.5 %."""
    for _ in range(5):
        looker._weigh(takes, listed=False)
    assert looker.rate_hz * takes == pytest.approx(stands_still)


def test_of_a_thread_that_ended_since_the_dump_the_jvm_s_word_stands(
    looker: JvmLooker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number is in no list of threads any more; where numbers are ours it is one of them."""
    monkeypatch.setattr(looker, "_socket", SimpleNamespace(ask=lambda *_: DUMPS[17]))
    monkeypatch.setattr(looker._watched, "living", dict)
    seen = {sample.thread_name: sample for sample in looker.look()}
    assert seen["wants-m-1"].state is ThreadState.LOCK and looker.unmatched == 0
    looker._apart = True
    assert looker.look() == [] and looker.unmatched == looker.seen / 2 > 0


PARKS = "   java.lang.Thread.State: WAITING (parking)\n\tat a.B.c(B.java:1)\n"


def wants(of: str, owned: bool = False) -> list[JavaThread]:
    """A thread that waits for an object of a class, and its owner where it has one."""
    waits = f'"w" #1 prio=5 tid=0x1 nid=0x1 waiting\n{PARKS}'
    waits += f"\t- parking to wait for  <0x00aa> (a {of})\n\n"
    has = '"o" #2 prio=5 tid=0x1 nid=0x2 runnable\n   java.lang.Thread.State: RUNNABLE\n'
    has += f"\tat a.B.d(B.java:2)\n\n   Locked ownable synchronizers:\n\t- <0x00aa> (a {of})\n\n"
    return DumpReader().read(waits + (has if owned else ""))


def test_owners_are_asked_for_while_somebody_waits_for_what_has_one(looker: JvmLooker) -> None:
    """The JVM goes through its heap for them: not for a pool of threads that waits for work."""
    lock, idle = "java.util.concurrent.locks.ReentrantLock$NonfairSync", "x.Queue$ConditionObject"
    for of, asked in ((lock, True), (idle, False), (lock, True)):
        looker._note_owners(wants(of), listed=False)
        assert looker._wanted is asked
    for _ in range(9):  # between two owners nobody is one
        looker._note_owners(wants(lock), listed=True)
    assert looker._wanted


def test_what_nobody_was_ever_seen_to_own_is_asked_for_no_longer(looker: JvmLooker) -> None:
    permit, gate = "java.util.concurrent.Semaphore$NonfairSync", "app.Gate$Sync"
    looker._note_owners(wants(permit), listed=False)
    asked = 0
    while looker._wanted:
        looker._note_owners(wants(permit), listed=True)
        asked += 1
    assert asked == 3
    looker._note_owners(wants(gate, owned=True), listed=True)
    for _ in range(9):
        looker._note_owners(wants(gate), listed=True)
        assert looker._wanted
