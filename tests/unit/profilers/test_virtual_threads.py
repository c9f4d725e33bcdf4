"""Virtual threads that wait, by what JDK 25 writes of them: read off a program whose threads do one
thing each.
"""

from __future__ import annotations

import json

import pytest

from perfhunt.errors import Unreadable
from perfhunt.model.profile import ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.profilers.jvm import looks, virtual
from perfhunt.profilers.jvm.dump import JavaThread
from perfhunt.profilers.jvm.looks import JvmLooker
from perfhunt.profilers.jvm.virtual import VirtualThreads

PARK = ["java.base/java.lang.VirtualThread.park(VirtualThread.java:742)"]
SLEEP = [
    "java.base/java.lang.VirtualThread.parkNanos(VirtualThread.java:784)",
    "java.base/java.lang.VirtualThread.sleepNanos(VirtualThread.java:980)",
    "java.base/java.lang.Thread.sleepNanos(Thread.java:507)",
    "java.base/java.lang.Thread.sleep(Thread.java:540)",
]
READ = [
    *PARK,
    "java.base/sun.nio.ch.Poller.poll(Poller.java:142)",
    "java.base/sun.nio.ch.NioSocketImpl.park(NioSocketImpl.java:174)",
]
POLLS = [*PARK, "java.base/sun.nio.ch.Poller.subPollerLoop(Poller.java:271)"]
LOCK = "java.util.concurrent.locks.ReentrantLock$NonfairSync@446a0f61"
SEMAPHORE = "java.util.concurrent.Semaphore$NonfairSync@2e8941d"
FUTURE = "java.util.concurrent.CompletableFuture$Signaller@3bd5c3d8"
TILL = "java.lang.Object@17b65c9b"


def thread(
    number: int, name: str, state: str, inner: list[str], **more: object
) -> dict[str, object]:
    own = ["shop.Till.serve(Till.java:8)", "shop.Till$$Lambda/0x00007f01.run(Unknown Source)"]
    said = {"tid": str(number), "name": name, "state": state, "stack": [*inner, *own]}
    return {**said, "virtual": True, **more}


def dump(*threads: dict[str, object]) -> bytes:
    return json.dumps({"threadDump": {"threadContainers": [{"threads": threads}]}}).encode()


DUMP = dump(
    thread(1, "naps", "TIMED_WAITING", SLEEP),
    thread(2, "reads", "WAITING", READ),
    thread(3, "wants", "WAITING", PARK, parkBlocker={"object": LOCK}),
    thread(4, "queues", "WAITING", PARK, parkBlocker={"object": SEMAPHORE}),
    thread(5, "queues too", "WAITING", PARK, parkBlocker={"object": SEMAPHORE}),
    thread(6, "result", "WAITING", PARK, parkBlocker={"object": FUTURE}),
    thread(7, "blocked", "BLOCKED", [], blockedOn=TILL),
    thread(8, "owns", "TIMED_WAITING", SLEEP, monitorsOwned=[{"depth": 4, "locks": [None, TILL]}]),
    thread(9, "runs", "RUNNABLE", []),
    thread(10, "SubPoller-0", "WAITING", POLLS),
    {**thread(11, "main", "WAITING", PARK), "virtual": False},
)


class Told(VirtualThreads):
    """What a JVM would have written."""

    def __init__(self, text: bytes) -> None:
        super().__init__(1, None)  # type: ignore[arg-type]  # it is not asked
        self._text = text

    def waiting(self) -> list[JavaThread] | None:
        return self.read(self._text)


def looked(text: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, ThreadSample], str]:
    """The samples of a dump by their names, and what was not seen."""
    monkeypatch.setattr(looks, "AttachSocket", lambda pid: None)
    looker = JvmLooker(1)
    looker._carried, looker._virtual = True, Told(text)
    return {sample.thread_name: sample for sample in looker._unmounted()}, looker.unseen


def test_each_waits_for_what_it_was_made_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, unseen = looked(DUMP, monkeypatch)
    assert {name: sample.state for name, sample in seen.items()} == {
        "naps": ThreadState.SLEEP,
        "reads": ThreadState.SOCKET,
        "wants": ThreadState.LOCK,
        "queues": ThreadState.LOCK,
        "queues too": ThreadState.LOCK,
        "result": ThreadState.AWAIT,
        "blocked": ThreadState.LOCK,
        "owns": ThreadState.SLEEP,
    }
    assert unseen == ""
    assert seen["queues"].wait_on != seen["queues too"].wait_on
    assert seen["blocked"].wait_on in seen["owns"].holds
    assert all(sample.task and sample.tid == 0 for sample in seen.values())


def test_frames_are_named_as_those_of_threads_are(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = looked(DUMP, monkeypatch)[0]["naps"].stack
    assert [frame.function for frame in stack][1:3] == [
        "shop.Till.serve",
        "java.lang.Thread.sleep",
    ]
    assert stack[1].line == 8 and stack[0].function == "shop.Till$$Lambda.run"


def test_a_jvm_that_does_not_say_how_they_wait_is_a_told_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """JDK 21 writes a number, a name and a stack of each, and no more."""
    old = dump({"tid": "22", "name": "", "stack": PARK})
    seen, unseen = looked(old, monkeypatch)
    assert not seen and "before JDK 25" in unseen


@pytest.mark.parametrize("text", [b"", b"[]", b"{", dump({"virtual": True, "state": "WAITING"})])
def test_a_dump_that_makes_no_sense_is_refused_and_told(
    text: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unreadable, match=virtual._WHAT):
        Told(text).waiting()
    seen, unseen = looked(text, monkeypatch)
    assert not seen and virtual._WHAT in unseen
