"""Threads of a program that runs on tokio, and its tasks that wait for a lock or a permit."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from perfhunt.analysis.blame.snapshots import FOR_A_THREAD, FUTEX, SEVERAL
from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Frame, Stack, ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.native.calls import SeenCall, WatchedCalls
from perfhunt.profilers.native.looker import NativeLooker
from perfhunt.profilers.native.unwind import StackCopy
from perfhunt.profilers.tokio.permits import PermitQueue, permit_functions
from perfhunt.target.proc.files import link

_MOST_THREADS = 64  # that are watched: a worker a core, and those that block
_EVERY: Seconds = 0.02  # between two readings of what was called: a ring holds five times as much
# Of calls, each second and core: one costs the target 10 us with the copy of its stack, so that it
# is 2 %. Beyond that nobody watches any more, as soon as a part of a second shows it.
_MOST_CALLS = 2_000
_SHOWS: Seconds = 0.25
_MEETS_EVERY: Seconds = 1.0  # between two looks for new threads
_SEVERAL = 2  # that have a permit at a time, or more
# Of the looks in which somebody had one: who was missed when he gave it back makes two of one.
_OFTEN = 0.2
_TELLING: Bytes = 2048  # of a stack: addresses of code in it tell one way to a wait from another
_MOST_STACKS = 20_000  # that are kept, so that each is walked once
# Below a task's own code, on a worker's stack.
_RUNTIME = re.compile(r"\btokio::runtime::")
_GETS = re.compile(r"\btokio::sync::")  # asks for a permit


class TokioLooker(NativeLooker):
    """Looks at one process whose tasks run on tokio."""

    def __init__(self, pid: int) -> None:
        """Raises AttachFailed, with the reason, where the process cannot be read."""
        super().__init__(pid)
        self._queue = PermitQueue()
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._calls: WatchedCalls | None = None
        # By semaphore, in how many looks nobody, one, several had a permit.
        self._had: dict[int, Counter[int]] = {}
        self._known: dict[tuple[int, ...], Stack] = {}
        self._missed, self._followed = 0, 0.0
        self._reader = threading.Thread(target=self._follow, name="perfhunt-tokio", daemon=True)
        functions = permit_functions(self._image, link(pid, "exe"))
        if not functions:
            self._untold = "it was stripped of their names, or optimized as a whole (lto)"
            return
        try:
            self._calls = WatchedCalls(f"/proc/{pid}/exe", functions)
            self._meet(self._calls)
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
        threads = super().look()
        with self._lock:
            uses = [
                (semaphore, list(use.waiting.values()), list(use.holding), list(use.releases))
                for semaphore, use in self._queue.semaphores.items()
            ]
        samples = list[ThreadSample]()
        for semaphore, waiting, holding, releases in uses:
            asking = [self._task_stack(each.call) for each in waiting]
            having = [self._task_stack(each.call) for each in holding]
            name = self._name(semaphore, len(having))
            if releases and not self._give_back(releases, asking + having):
                # Such as of a channel, whose reader makes room: it works for those that wait.
                name = f"{FOR_A_THREAD}{semaphore:#x}"
                having = [self._task_stack(releases[-1])] if waiting else []
            samples += [
                self._task(stack, name, bool(each.handed))
                for each, stack in zip(waiting, asking, strict=True)
            ]
            for stack in having:
                self._having(self._own(stack), name, threads, samples)
        self.cpu += self._followed
        return threads + samples

    def _name(self, semaphore: int, having: int) -> str:
        """What a semaphore is called: one that several have at a time is told from a lock."""
        seen = self._had.setdefault(semaphore, Counter())
        seen[min(having, _SEVERAL)] += 1
        several = seen[_SEVERAL] > _OFTEN * (seen[1] + seen[_SEVERAL])
        return f"{SEVERAL if several else FUTEX}{semaphore:#x}"

    @staticmethod
    def _own(stack: Stack) -> Stack:
        """Where a task is that has got its permit: no longer in what got it."""
        end = len(stack)
        while end > 1 and _GETS.search(stack[end - 1].function):
            end -= 1
        return stack[:end]

    def _unseen_tasks(self) -> str:
        if self._untold:
            return f"{super()._unseen_tasks()} (calls of tokio's were not watched: {self._untold})"
        lost = f", nor {self._missed} calls that came too fast" if self._missed else ""
        return f"what tasks of tokio wait for that is no lock, permit or bounded channel{lost}"

    def _having(
        self, stack: Stack, name: str, threads: list[ThreadSample], samples: list[ThreadSample]
    ) -> None:
        """Who has a permit: a thread that is in the same code, where there is one that has none
        yet; else a task that waits for something else.
        """
        inside = stack[-1:]
        for n, thread in enumerate(threads):
            if not thread.holds and any(_is_in(frame, thread.stack) for frame in inside):
                threads[n] = replace(thread, holds=frozenset({name}))
                return
        samples.append(replace(self._task(stack, "", ready=False), holds=frozenset({name})))

    def _give_back(self, releases: Sequence[SeenCall], asking: Sequence[Stack]) -> bool:
        """Whether tasks that are in the same code as those that ask for a permit give it back."""
        begun = {stack[0] for stack in asking if stack}
        return any(stack[0] in begun for stack in map(self._task_stack, releases) if stack)

    def _task(self, stack: Stack, name: str, ready: bool) -> ThreadSample:
        state = ThreadState.LOCK if name else ThreadState.AWAIT
        return ThreadSample(
            pid=self._pid,
            tid=0,
            stack=stack,
            state=ThreadState.LOOP if ready else state,
            wait_on="" if ready else name,
            thread_name="task",
            still=True,
            task=True,
        )

    def _task_stack(self, call: SeenCall) -> Stack:
        """Where a task was at a call, root first: what it was in of its own, without the
        worker's.
        """
        words = np.frombuffer(call.raw[: min(_TELLING, len(call.raw)) // 8 * 8], "<u8")
        code = words[self._image.code_among(words)].tolist()
        key = (call.registers.code, call.registers.stack, *code)
        if key not in self._known:
            copy = StackCopy(call.registers.stack, call.raw, _nothing)
            addresses, _ = self._unwinder.walk(call.registers, copy)
            stack = tuple(f for a in reversed(addresses) for f in self._image.calls(a))
            runs = [n for n, frame in enumerate(stack) if _RUNTIME.search(frame.function)]
            if len(self._known) > _MOST_STACKS:
                self._known.clear()
            self._known[key] = stack[runs[-1] + 1 :] if runs else stack
        return self._known[key]

    def _meet(self, calls: WatchedCalls) -> bool:
        """Watch the threads that there are; whether any of them is new. Raises AttachFailed where
        not all of them can be watched: who goes on unseen would seem to wait for ever.
        """
        try:
            tids = list(map(int, os.listdir(f"/proc/{self._pid}/task")))
        except OSError:
            return False  # it has ended
        if len(tids) > _MOST_THREADS:
            raise AttachFailed(f"it has {len(tids)} threads, more than {_MOST_THREADS}")
        return calls.watch(tids)

    def _follow(self) -> None:
        """Reads what was called, in a thread of its own, until it is closed or comes too fast."""
        assert self._calls is not None
        most = _MOST_CALLS * (os.cpu_count() or 1)
        came, since, met = 0, time.monotonic(), time.monotonic()
        while not self._closed.wait(_EVERY):
            calls, lost = self._calls.taken(), self._calls.lost
            self._calls.lost = 0
            came += len(calls) + lost
            now, is_new = time.monotonic(), False
            if now - met >= _MEETS_EVERY:
                met = now
                try:
                    is_new = self._meet(self._calls)
                except AttachFailed as failed:
                    self._untold = failed.message
                    break
            with self._lock:
                self._queue.take(calls)
                # A thread that was met late may have gone on with what others began.
                if lost or is_new:
                    self._missed += lost
                    self._queue.forget()
            if now - since >= _SHOWS:
                if came > most * (now - since):
                    self._untold = f"{came / (now - since):,.0f} a second would cost it too much"
                    break
                came, since = 0, now
            self._followed = time.thread_time()
        self._calls.close()
        with self._lock:
            self._queue.forget()

    def _stop(self) -> None:
        self._closed.set()
        if self._reader.is_alive():
            self._reader.join()


def _is_in(frame: Frame, stack: Stack) -> bool:
    return any((f.function, f.file) == (frame.function, frame.file) for f in stack)


def _nothing(address: int, size: Bytes) -> bytes:
    """What is on a stack now says nothing of then."""
    return b""
