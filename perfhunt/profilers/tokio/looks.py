"""Threads of a program that runs on tokio, and its tasks that wait for a lock or a permit."""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import suppress

import numpy as np

from perfhunt.analysis.blame.snapshots import FUTEX
from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Stack, ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.native.calls import WatchedCalls
from perfhunt.profilers.native.looker import NativeLooker
from perfhunt.profilers.native.unwind import StackCopy
from perfhunt.profilers.tokio.permits import PermitQueue, WaitingTask, permit_functions
from perfhunt.target.proc.files import link

_MOST_THREADS = 64  # that are watched: a worker a core, and those that block
_EVERY: Seconds = 0.02  # between two readings of what was called: a ring holds five times as much
# Of calls, each second and core: one costs the target 1 to 2 us, so that it is 1 to 2 %.
_MOST_CALLS = 10_000
_TELLING: Bytes = 2048  # of a stack: addresses of code in it tell one way to a wait from another
_MOST_STACKS = 20_000  # that are kept, so that each is walked once
# Below a task's own code, on a worker's stack.
_RUNTIME = re.compile(r"\btokio::runtime::")


class TokioLooker(NativeLooker):
    """Looks at one process whose tasks run on tokio."""

    def __init__(self, pid: int) -> None:
        """Raises AttachFailed, with the reason, where the process cannot be read."""
        super().__init__(pid)
        self._queue = PermitQueue()
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._calls: WatchedCalls | None = None
        self._known: dict[tuple[int, ...], Stack] = {}
        self._missed, self._followed = 0, 0.0
        self._reader = threading.Thread(target=self._follow, name="perfhunt-tokio", daemon=True)
        functions = permit_functions(self._image, link(pid, "exe"))
        if not functions:
            self._untold = "its functions have no names of their own"
            return
        with suppress(OSError):
            tids = sorted(map(int, os.listdir(f"/proc/{pid}/task")))[:_MOST_THREADS]
        try:
            self._calls = WatchedCalls(f"/proc/{pid}/exe", tids, functions)
        except AttachFailed as failed:
            self._untold = failed.message
            return
        self._untold = ""
        self._reader.start()

    def close(self) -> None:
        """Let the process go. Idempotent."""
        self._stop()
        super().close()

    def look(self) -> list[ThreadSample]:
        """Every thread now, and every task that waits. Raises AttachFailed once the process is
        gone.
        """
        samples = super().look()
        with self._lock:
            waiting = self._queue.waiting
        samples += [self._waiting(each) for each in waiting]
        self.cpu += self._followed
        return samples

    def _unseen_tasks(self) -> str:
        if self._untold:
            return f"{super()._unseen_tasks()} (calls of tokio's were not watched: {self._untold})"
        lost = f", nor {self._missed} calls that came too fast" if self._missed else ""
        return f"what tasks of tokio wait for that is no lock, permit or bounded channel{lost}"

    def _waiting(self, each: WaitingTask) -> ThreadSample:
        stack = self._task_stack(each)
        which = each.semaphore or each.call.arguments[0]
        return ThreadSample(
            pid=self._pid,
            tid=0,
            stack=stack,
            state=ThreadState.LOCK,
            wait_on=f"{FUTEX}{which:#x}",
            thread_name="task",
            still=True,
            task=True,
        )

    def _task_stack(self, each: WaitingTask) -> Stack:
        """Where a task waits, root first: what it is in of its own, without the worker's."""
        call = each.call
        words = np.frombuffer(call.raw[: min(_TELLING, len(call.raw)) // 8 * 8], "<u8")
        key = (call.registers.stack, *words[self._image.code_among(words)].tolist())
        if key not in self._known:
            copy = StackCopy(call.registers.stack, call.raw, _nothing)
            addresses, _ = self._unwinder.walk(call.registers, copy)
            stack = tuple(f for a in reversed(addresses) for f in self._image.calls(a))
            runs = [n for n, frame in enumerate(stack) if _RUNTIME.search(frame.function)]
            if len(self._known) > _MOST_STACKS:
                self._known.clear()
            self._known[key] = stack[runs[-1] + 1 :] if runs else stack
        return self._known[key]

    def _follow(self) -> None:
        """Reads what was called, in a thread of its own, until it is closed or comes too fast."""
        assert self._calls is not None
        most = _MOST_CALLS * (os.cpu_count() or 1)
        came, second = 0, time.monotonic()
        while not self._closed.wait(_EVERY):
            calls = self._calls.taken()
            came += len(calls)
            with self._lock:
                self._queue.take(calls)
                if self._calls.lost:
                    self._missed += self._calls.lost
                    self._calls.lost = 0
                    self._queue.forget()
            if (now := time.monotonic()) - second >= 1.0:
                if came > most * (now - second):
                    self._untold = f"{came / (now - second):,.0f} a second would cost it too much"
                    break
                came, second = 0, now
            self._followed = time.thread_time()
        self._calls.close()
        with self._lock:
            self._queue.forget()

    def _stop(self) -> None:
        self._closed.set()
        if self._reader.is_alive():
            self._reader.join()


def _nothing(address: int, size: Bytes) -> bytes:
    """What is on a stack now says nothing of then."""
    return b""
