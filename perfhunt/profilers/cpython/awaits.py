"""What a task waits for, from where in asyncio its chain of coroutines ends."""

from __future__ import annotations

import re

from perfhunt.analysis.blame.snapshots import FOR_A_THREAD, FUTEX
from perfhunt.model.profile import Stack
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Seconds
from perfhunt.profilers.cpython.chains import SLEEP, AwaitChain
from perfhunt.target.proc.waits import Wait

_ASYNCIO = re.compile(r"/asyncio/(\w+)\.py$")
# What the modules of asyncio wait for, those whose every wait is of one kind.
_WAITS_OF = {
    "locks": ThreadState.LOCK,
    "queues": ThreadState.LOCK,
    "taskgroups": ThreadState.LOCK,
    "streams": ThreadState.SOCKET,
    "selector_events": ThreadState.SOCKET,
    "proactor_events": ThreadState.SOCKET,
    "sslproto": ThreadState.SOCKET,
}
# What an object with waiters of its own calls its wait, in the libraries beside asyncio.
_ACQUIRES = re.compile(r"(?:^|\.)_*(?:acquire|wait)\w*$")
# Mutual exclusion: those who wait for the same lock wait for the same thing. Permits, queues and
# events give each waiter its own.
_LOCK = "Lock.acquire"


def wait_of(chain: AwaitChain, now: Seconds) -> Wait:
    """The state of a task that is not running, and the address of what it waits for where that is
    in its own process. `now` is of the monotonic clock: who sleeps on when it is time to wake waits
    for the event loop.
    """
    if not chain.future or (chain.due is not None and now > chain.due):
        return Wait(ThreadState.LOOP)
    state = ThreadState.LOCK if chain.threads else _state(chain.stack)
    if state is not ThreadState.LOCK:
        return Wait(state)
    if chain.threads:
        return Wait(state, f"{FOR_A_THREAD}{chain.future:#x}")
    owned = chain.owner and chain.stack[-1].function == _LOCK
    return Wait(state, f"{FUTEX}{chain.owner if owned else chain.future:#x}")


def _state(stack: Stack) -> ThreadState:
    leaf = stack[-1]
    module = _ASYNCIO.search(leaf.file)
    if module is None:
        return ThreadState.LOCK if _ACQUIRES.search(leaf.function) else ThreadState.AWAIT
    if module[1] == "tasks":
        if leaf.function == SLEEP:
            return ThreadState.SLEEP
        # Such as `wait`: for tasks of its own.
        return ThreadState.LOCK
    return _WAITS_OF.get(module[1], ThreadState.AWAIT)
