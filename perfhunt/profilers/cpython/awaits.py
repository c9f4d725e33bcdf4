"""What a task waits for, from where in asyncio its chain of coroutines ends; what a greenlet does,
from where in gevent or eventlet its stack ends; which lock a thread waits for.
"""

from __future__ import annotations

import re
from itertools import takewhile

from perfhunt.analysis.blame.snapshots import FOR_A_THREAD, FUTEX
from perfhunt.model.profile import Stack
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.cpython.chains import SLEEP, AwaitChain
from perfhunt.profilers.cpython.greenlets import WaitingGreenlet
from perfhunt.profilers.cpython.layouts.layout import Offset
from perfhunt.target.proc.memory import ProcessMemory
from perfhunt.target.proc.waits import Wait, slept_on

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
_ACQUIRES = re.compile(r"(?:^|\.)_*acquire\w*$")
# An event may be set by anything: what is waited for is told by who waits, the first of these words
# up the chain. A queue or a stream within the process is not the network.
_WAITS = re.compile(r"(?:^|\.)_*wait\w*$")
_INPUT_OUTPUT = re.compile(
    r"(?:^|\.)_*a?(?:recv|receive|read|send|write|drain|connect|execute|fetch|query)(?:_\w*)?$"
)
_PERMIT = re.compile(
    r"(?:^|\.)_*(?:acquire\w*|get_?conn\w*|checkout|reserve)$|(?:Queue|Memory\w*|Channel)\."
)
# How libraries call what hands a function to a thread of a pool and awaits it.
_IN_A_THREAD = re.compile(r"(?:^|\.)run_(?:sync_)?in_(?:worker_)?(?:thread|executor)\w*$")
# Mutual exclusion: those who wait for the same lock wait for the same thing. Permits, queues and
# events give each waiter its own.
_LOCK = "Lock.acquire"
_LIBRARY = re.compile(r"/(?:site|dist)-packages/|/lib/python3\.\d+/")
_EVENT = "Event.wait"
_STACK: Bytes = 4096  # of a waiter, from where it sleeps up to where it entered the wait
_HAS_PARKED = 2  # the bit of a lock's byte (cpython/lock.h)

# Greenlets: the modules of their libraries that wait for the network, and those that wait for a
# thread of a pool. What else they have is within the process, most of it in compiled code: then the
# stack ends in who called it.
_GREENLETS = re.compile(r"/(?:gevent|eventlet)/(?:\w+/)*(\w+)\.py$")
_GREEN_NETWORK = re.compile(r"^_?(?:socket\w*|ssl\w*|select\w*|fileobject\w*)$")
_GREEN_THREADS = frozenset({"threadpool", "tpool"})
_TRAMPOLINE = "trampoline"  # eventlet: where a greenlet waits for a file
# Mutual exclusion, as these libraries and threading call it; what is built on it and wakes each of
# those who wait on its own.
_MUTEX = re.compile(r"Lock\w*\.|^Semaphore\.")
_SIGNALLED = re.compile(r"(?:Condition|Event|Queue|Barrier|Pool)\.")
# Of drivers that are handed such a wait.
_WAITS_FOR_A_FILE = re.compile(r"wait_(?:callback|read|write)$")


def with_lock(wait: Wait, line: bytes, memory: ProcessMemory, parked: Offset | None) -> Wait:
    """A thread's wait for a lock, by the address of the lock where each waiter sleeps on one of its
    own (`parked`, see Layout). `line` is what the kernel says of the thread.

    It is believed where the waiter sleeps on a word of its own stack, which leads to the byte of a
    lock that has somebody parked: an extension's own semaphore is taken for what it is.
    """
    if parked is None or wait.state is not ThreadState.LOCK or (at := slept_on(line)) is None:
        return wait
    address, stack = at
    if not 0 <= address - stack < _STACK:
        return wait
    lock = memory.word(address + parked)
    held = memory.read(lock, 1)
    return Wait(wait.state, f"{FUTEX}{lock:#x}") if held and held[0] & _HAS_PARKED else wait


def wait_of(chain: AwaitChain, now: Seconds) -> Wait:
    """The state of a task that is not running, and the address of what it waits for where that is
    in its own process. `now` is of the monotonic clock: who sleeps on when it is time to wake waits
    for the event loop.
    """
    if not chain.future or (chain.due is not None and now > chain.due):
        return Wait(ThreadState.LOOP)
    threads = chain.threads or bool(_IN_A_THREAD.search(chain.stack[-1].function))
    state = ThreadState.LOCK if threads else _state(chain.stack)
    if state is not ThreadState.LOCK:
        return Wait(state)
    if threads:
        return Wait(state, f"{FOR_A_THREAD}{chain.future:#x}")
    owned = chain.owner and chain.stack[-1].function == _LOCK
    return Wait(state, f"{FUTEX}{chain.owner if owned else chain.future:#x}")


def _state(stack: Stack) -> ThreadState:
    leaf = stack[-1]
    module = _ASYNCIO.search(leaf.file)
    if leaf.function == _EVENT or (module is None and _WAITS.search(leaf.function)):
        return _by_who_waits(stack)
    if module is None:
        return ThreadState.LOCK if _ACQUIRES.search(leaf.function) else ThreadState.AWAIT
    if module[1] == "tasks":
        if leaf.function == SLEEP:
            return ThreadState.SLEEP
        # Such as `wait`: for tasks of its own.
        return ThreadState.LOCK
    return _WAITS_OF.get(module[1], ThreadState.AWAIT)


def _by_who_waits(stack: Stack) -> ThreadState:
    """What an event stands for, by the words of the libraries that wait for it; within the process,
    where they do not say.
    """
    for frame in stack[-2::-1]:
        if _PERMIT.search(frame.function) or not _LIBRARY.search(frame.file):
            break
        if _INPUT_OUTPUT.search(frame.function):
            return ThreadState.SOCKET
    return ThreadState.LOCK


def wait_of_greenlet(greenlet: WaitingGreenlet) -> Wait:
    """The state of a greenlet that is not running, as of a task. Which lock it waits for is not
    read: those who wait for one at the same place of the application count as waiting for the same.
    """
    stack, own = greenlet.stack, f"{greenlet.at:#x}"
    for frame in stack[::-1]:
        module = _GREENLETS.search(frame.file)
        if module is None:
            break
        if module[1] in _GREEN_THREADS:
            return Wait(ThreadState.LOCK, FOR_A_THREAD + own)
        if frame.function == SLEEP:
            return Wait(ThreadState.SLEEP)
        if frame.function == _TRAMPOLINE or _GREEN_NETWORK.search(module[1]):
            return Wait(ThreadState.SOCKET)
    if _WAITS_FOR_A_FILE.search(stack[-1].function):
        return Wait(ThreadState.SOCKET)
    inner = list(takewhile(lambda each: _LIBRARY.search(each.file), stack[::-1]))
    names = [each.function for each in inner]
    if any(map(_MUTEX.search, names)) and not any(map(_SIGNALLED.search, names)):
        place = stack[len(stack) - 1 - len(inner)] if len(inner) < len(stack) else stack[0]
        own = f"{place.file}:{place.line}"
    return Wait(ThreadState.LOCK, FUTEX + own)
