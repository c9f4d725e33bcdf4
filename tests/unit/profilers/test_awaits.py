"""What a task waits for, by where its chain of coroutines ends."""

from dataclasses import replace

import pytest

from perfhunt.model.profile import Frame
from perfhunt.model.states import ThreadState
from perfhunt.profilers.cpython.awaits import wait_of
from perfhunt.profilers.cpython.chains import AwaitChain

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


def test_a_sleeper_whose_time_is_over_waits_for_the_loop() -> None:
    asleep = Frame("sleep", f"{ASYNCIO}/tasks.py")
    for due, state in ((NOW + 0.1, ThreadState.SLEEP), (NOW - 0.1, ThreadState.LOOP)):
        assert wait_of(replace(chain(asleep), due=due), NOW).state is state
