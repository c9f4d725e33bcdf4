"""What a task waits for, by where its chain of coroutines ends, and a greenlet, by where its stack
does.
"""

from dataclasses import replace

import pytest

from perfhunt.analysis.blame.snapshots import FOR_A_THREAD
from perfhunt.model.profile import Frame, Stack
from perfhunt.model.states import ThreadState
from perfhunt.profilers.cpython.awaits import wait_of, wait_of_greenlet
from perfhunt.profilers.cpython.chains import AwaitChain
from perfhunt.profilers.cpython.greenlets import Readiness, WaitingGreenlet

ASYNCIO = "/usr/lib/python3.12/asyncio"
NOW = 100.0
APP = Frame("get_balance", "/srv/shop/db.py", 41)


def chain(*frames: Frame, future: int = 0x100, threads: bool = False) -> AwaitChain:
    return AwaitChain(1, (APP, *frames), future, owner=0x200, threads=threads)


@pytest.mark.parametrize(
    ("leaf", "state"),
    [
        (Frame("sleep", f"{ASYNCIO}/tasks.py"), ThreadState.SLEEP),
        (Frame("_wait", f"{ASYNCIO}/tasks.py"), ThreadState.LOCK),
        (Frame("Lock.acquire", f"{ASYNCIO}/locks.py"), ThreadState.LOCK),
        (Frame("Queue.get", f"{ASYNCIO}/queues.py"), ThreadState.LOCK),
        (Frame("StreamReader._wait_for_data", f"{ASYNCIO}/streams.py"), ThreadState.SOCKET),
        (Frame("Limiter.acquire_on_behalf_of", "/p/anyio/_backends/x.py"), ThreadState.LOCK),
        (Frame("Connection._do_execute", "/p/site-packages/driver/c.py"), ThreadState.AWAIT),
    ],
)
def test_the_end_of_the_chain_says_what_is_waited_for(leaf: Frame, state: ThreadState) -> None:
    assert wait_of(chain(leaf), NOW).state is state


def test_waiters_of_one_lock_share_an_address_and_those_for_permits_do_not() -> None:
    lock = Frame("Lock.acquire", f"{ASYNCIO}/locks.py")
    assert wait_of(chain(lock, future=1), NOW).on == wait_of(chain(lock, future=2), NOW).on
    permit = Frame("Semaphore.acquire", f"{ASYNCIO}/locks.py")
    assert wait_of(chain(permit, future=1), NOW).on != wait_of(chain(permit, future=2), NOW).on


def test_a_task_that_awaits_nothing_waits_for_the_loop_and_one_may_wait_for_a_thread() -> None:
    assert wait_of(chain(future=0), NOW).state is ThreadState.LOOP
    assert wait_of(chain(threads=True), NOW).state is ThreadState.LOCK


SITE = "/srv/.venv/lib/python3.12/site-packages"
EVENT = Frame("Event.wait", f"{ASYNCIO}/locks.py")


@pytest.mark.parametrize(
    ("frames", "state"),
    [
        ((Frame("Cursor.execute", SITE), Frame("wait_async", SITE)), ThreadState.SOCKET),
        ((Frame("SocketStream.receive", SITE), EVENT), ThreadState.SOCKET),
        ((Frame("Pool.getconn", SITE), Frame("WaitingClient.wait", SITE)), ThreadState.LOCK),
        ((Frame("MemoryObjectReceiveStream.receive", SITE), EVENT), ThreadState.LOCK),
        ((Frame("Pool.acquire", SITE), EVENT), ThreadState.LOCK),
        ((Frame("read_totals", "/srv/shop/read.py"), EVENT), ThreadState.LOCK),
        ((EVENT,), ThreadState.LOCK),
    ],
)
def test_what_an_event_stands_for_is_told_by_the_library_that_waits_for_it(
    frames: tuple[Frame, ...], state: ThreadState
) -> None:
    assert wait_of(chain(*frames), NOW).state is state


@pytest.mark.parametrize(
    "name",
    ["AsyncIOBackend.run_sync_in_worker_thread", "run_in_threadpool", "Loop.run_in_executor"],
)
def test_work_handed_to_a_thread_is_waited_for_as_a_threads(name: str) -> None:
    waits = wait_of(chain(Frame(name, SITE)), NOW)
    assert (waits.state, waits.on[: len(FOR_A_THREAD)]) == (ThreadState.LOCK, FOR_A_THREAD)


def test_a_sleeper_whose_time_is_over_waits_for_the_loop() -> None:
    asleep = Frame("sleep", f"{ASYNCIO}/tasks.py")
    for due, state in ((NOW + 0.1, ThreadState.SLEEP), (NOW - 0.1, ThreadState.LOOP)):
        assert wait_of(replace(chain(asleep), due=due), NOW).state is state


GEVENT, EVENTLET = "/p/site-packages/gevent", "/p/site-packages/eventlet"
CONDITION = Frame("Condition.wait", "/usr/lib/python3.12/threading.py")


@pytest.mark.parametrize(
    ("frames", "state"),
    [
        ((Frame("SocketMixin.recv", f"{GEVENT}/_socketcommon.py"),), ThreadState.SOCKET),
        ((Frame("SSLSocket.read", f"{GEVENT}/ssl.py"),), ThreadState.SOCKET),
        ((Frame("select", f"{GEVENT}/select.py"),), ThreadState.SOCKET),
        ((Frame("sleep", f"{GEVENT}/hub.py"),), ThreadState.SLEEP),
        ((Frame("LockType.acquire", f"{GEVENT}/thread.py"),), ThreadState.LOCK),
        ((Frame("ThreadPool.apply", f"{GEVENT}/threadpool.py"),), ThreadState.LOCK),
        ((Frame("gevent_wait_callback", "/p/site-packages/psycogreen/g.py"),), ThreadState.SOCKET),
        ((), ThreadState.LOCK),  # compiled code of gevent's: a semaphore, an event, a queue
        (
            (
                Frame("trampoline", f"{EVENTLET}/hubs/__init__.py"),
                Frame("BaseHub.switch", f"{EVENTLET}/hubs/hub.py"),
            ),
            ThreadState.SOCKET,
        ),
        (
            (
                Frame("sleep", f"{EVENTLET}/greenthread.py"),
                Frame("BaseHub.switch", f"{EVENTLET}/hubs/hub.py"),
            ),
            ThreadState.SLEEP,
        ),
        (
            (
                Frame("Semaphore.acquire", f"{EVENTLET}/semaphore.py"),
                Frame("BaseHub.switch", f"{EVENTLET}/hubs/hub.py"),
            ),
            ThreadState.LOCK,
        ),
    ],
)
def test_a_greenlet_waits_for_what_its_stack_ends_in(
    frames: tuple[Frame, ...], state: ThreadState
) -> None:
    assert wait_of_greenlet(WaitingGreenlet(0x10, (APP, *frames))).state is state


def test_greenlets_share_a_lock_and_each_has_a_permit_of_its_own() -> None:
    locked = (APP, Frame("LockType.acquire", f"{GEVENT}/thread.py"))
    permit = (APP, CONDITION, Frame("LockType.acquire", f"{GEVENT}/thread.py"))
    queued = (APP, Frame("LightQueue.get", f"{EVENTLET}/queue.py"))
    for stack, shared in ((locked, True), (permit, False), (queued, False), ((APP,), False)):
        one, other = (wait_of_greenlet(WaitingGreenlet(at, stack)).on for at in (0x10, 0x20))
        assert (one == other) is shared
    pooled = (APP, Frame("ThreadPool.apply", f"{GEVENT}/threadpool.py"))
    assert wait_of_greenlet(WaitingGreenlet(0x10, pooled)).on.startswith(FOR_A_THREAD)


HUB, OTHER_HUB = 0x1000, 0x2000


def switched(at: int, stack: Stack, hub: int = HUB, behind: bool = False) -> WaitingGreenlet:
    return WaitingGreenlet(at, stack, hub, behind)


def test_those_beyond_who_waits_while_the_hub_rests_are_ready() -> None:
    here, there = (APP,), (APP, CONDITION)
    waiting = [switched(0x10, here), switched(0x20, here), switched(0x30, there)]
    behind = [replace(each, behind=True) for each in waiting]
    readiness = Readiness()
    # A hub that was never met at rest has them all wait for it.
    assert readiness.ready(behind, resting=True) == [True] * 3
    for look in range(40):
        assert not any(readiness.ready(waiting[: 1 if look % 2 else 2], resting=True))
    # One and a half wait at the one place while it rests, nobody at the other.
    busy = [readiness.ready(behind, resting=True) for _ in range(40)]
    assert sum(sum(each[:2]) for each in busy) == pytest.approx(40 * 0.5, abs=2)
    assert all(each[2] for each in busy)


def test_a_hub_that_rests_says_nothing_of_one_that_is_switched_out() -> None:
    here = (APP,)
    waiting = [switched(0x10, here), switched(0x20, here, OTHER_HUB, behind=True)]
    assert Readiness().ready(waiting, resting=True) == [False, True]
    assert Readiness().ready(waiting, resting=False) == [True, True]
