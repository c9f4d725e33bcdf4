"""Threads of a program that runs on tokio, and its tasks that wait: for what, and who has it."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from perfhunt.analysis.blame.snapshots import FOR_A_THREAD, FUTEX, SEVERAL
from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Stack, ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Seconds
from perfhunt.profilers.native.calls import SeenCall, WatchedCalls, WatchedFunction
from perfhunt.profilers.native.looker import NativeLooker
from perfhunt.profilers.tokio.awaits import Await, AwaitKind, SocketTokens, await_at, most_telling
from perfhunt.profilers.tokio.permits import (
    PERMITS,
    PERMITS_WITH_STACK,
    PermitQueue,
    PermitUse,
    PermitWait,
)
from perfhunt.profilers.tokio.picture import TaskPicture
from perfhunt.profilers.tokio.stacks import TaskStacks, task_words
from perfhunt.profilers.tokio.wakers import (
    HEADER,
    WAKERS,
    WAKERS_WITH_STACK,
    LeftWaker,
    LeftWakers,
    task_state,
)
from perfhunt.profilers.tokio.watched import watchable
from perfhunt.target.binary.crates import linked_crates
from perfhunt.target.proc.files import link

_EVERY: Seconds = 0.01  # between two readings of what was called: a ring holds five times as much
# Of calls, each second and core: one costs the target 10 us with the copy of its stack, so that it
# is 2 %. Beyond that nobody watches any more, as soon as a part of a second shows it.
_MOST_CALLS = 2_000
_SHOWS: Seconds = 0.25
_SEVERAL = 2  # that have a permit at a time, or more
# Of the looks in which somebody had one: who was missed when he gave it back makes two of one.
_OFTEN = 0.2
_GETS = re.compile(r"\btokio::sync::")  # asks for a permit
# Of those, what waits for room in a channel, near the end of a stack; what makes permits anew.
_CHANNEL, _NEAR = re.compile(r"\btokio::sync::mpsc::"), 8
_ANEW = re.compile(r"\bSemaphore::add_permits$")
_LANGUAGE = ("std::", "core::", "alloc::", "tokio::")
_STATES = {
    AwaitKind.SOCKET: ThreadState.SOCKET,
    AwaitKind.TIME: ThreadState.SLEEP,
    AwaitKind.PERMIT: ThreadState.LOCK,
    AwaitKind.TOLD: ThreadState.AWAIT,
}


class TokioLooker(NativeLooker):
    """Looks at one process whose tasks run on tokio."""

    def __init__(self, pid: int) -> None:
        """Raises AttachFailed, with the reason, where the process cannot be read."""
        super().__init__(pid)
        self._queue, self._wakers = PermitQueue(), LeftWakers()
        self._task_stacks = TaskStacks(self._image, self._unwinder)
        self._tokens = SocketTokens(pid)
        self._libraries = (*linked_crates(f"/proc/{pid}/exe"), *_LANGUAGE)
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._calls: WatchedCalls | None = None
        # By semaphore, in how many looks nobody, one, several had a permit.
        self._had: dict[int, Counter[int]] = {}
        self._missed, self._followed, self._untold = 0, 0.0, ""
        self._reader = threading.Thread(target=self._follow, name="perfhunt-tokio", daemon=True)
        program = link(pid, "exe")
        self._of_permits = watchable(
            self._image, program, PERMITS, "batch_semaphore", PERMITS_WITH_STACK
        )
        self._of_wakers = watchable(self._image, program, WAKERS, "waker", WAKERS_WITH_STACK)
        if self._watch([*self._of_wakers, *self._of_permits]):
            self._reader.start()

    def close(self) -> None:
        """Let the process go. Idempotent."""
        self._closed.set()
        if self._reader.is_alive():
            self._reader.join()
        super().close()

    def look(self) -> list[ThreadSample]:
        """Every thread now, and every task that waits. Raises AttachFailed once the process is
        gone.
        """
        picture = TaskPicture(self._pid, super().look())
        with self._lock:
            if self._calls is not None:
                self._take(self._calls)
            held = [
                each
                for semaphore in self._queue.semaphores.items()
                for each in self._add_asking(picture, *semaphore)
            ]
            self._add_waiting(picture)
        for task, stack, name in held:
            if task is None:
                picture.work(stack, name)
            else:
                picture.hold(task, stack, name)
        self.cpu += self._followed
        return picture.samples

    def _unseen_tasks(self) -> str:
        lost = f"{self._missed} calls of tokio's that came too fast" if self._missed else ""
        if not self._untold:
            return lost
        told = f"{super()._unseen_tasks()} (calls of tokio's were not watched: {self._untold})"
        return f"{told}; {lost}" if lost else told

    def _add_asking(
        self, picture: TaskPicture, semaphore: int, use: PermitUse
    ) -> list[tuple[int | None, Stack, str]]:
        """Those that wait for permits of a semaphore; who has it: a task (0 for one whose address
        nobody knows, None for one that works for those who wait), where it is, and its name.
        """
        waiting, holding = list(use.waiting.values()), list(use.holding)
        for each in (*waiting, *holding):
            self._read_wait(each)
        name = self._name(semaphore, len(holding))
        if works := self._works_for(use.releases, waiting + holding):
            name = f"{FOR_A_THREAD}{semaphore:#x}"
        for each in waiting:
            state = ThreadState.LOOP if each.handed else ThreadState.LOCK
            on = "" if each.handed else name
            picture.add(self._task_of(each), each.stack or (), state, on)
        if works:
            return [(None, works, name)] if waiting else []
        return [(self._task_of(each), _own(each.stack or ()), name) for each in holding]

    def _add_waiting(self, picture: TaskPicture) -> None:
        """Those that left a waker, but for what waits for a permit, which is known better."""
        over = list[int]()
        for address, task in self._wakers.tasks.items():
            state = task_state(self._read(address, HEADER.size))
            if state.over:
                over.append(address)
            if state.over or state.runs or picture.has(address):
                continue
            awaits = [self._await(left) for left in task.left]
            what = most_telling(awaits, self._libraries)
            if what.kind is AwaitKind.PERMIT and self._of_permits:
                continue
            stack = what.own if what.kind is AwaitKind.TOLD else what.stack
            if state.queued:
                picture.add(address, stack, ThreadState.LOOP)
            elif what.of_client:
                picture.add(address, stack, ThreadState.POLL, what.on)
            else:
                picture.add(address, stack, _STATES[what.kind], what.on)
        self._wakers.leave_out(over)

    def _await(self, left: LeftWaker) -> Await:
        if left.what is None:
            left.what = await_at(self._task_stacks.of(left.call), left.call, self._tokens)
            left.call = replace(left.call, raw=b"")
        return left.what

    def _read_wait(self, wait: PermitWait) -> None:
        """Read its call once, and drop the copy of the stack."""
        if wait.stack is None:
            wait.stack, wait.words = self._task_stacks.of(wait.call), task_words(wait.call)
            wait.call = replace(wait.call, raw=b"")

    def _task_of(self, wait: PermitWait) -> int:
        """The address of the task that asked for a permit; 0 where nobody knows it."""
        return next((word for word in wait.words if word in self._wakers.tasks), 0)

    def _name(self, semaphore: int, having: int) -> str:
        """What a semaphore is called: one that several have at a time is told from a lock."""
        seen = self._had.setdefault(semaphore, Counter())
        seen[min(having, _SEVERAL)] += 1
        several = seen[_SEVERAL] > _OFTEN * (seen[1] + seen[_SEVERAL])
        return f"{SEVERAL if several else FUTEX}{semaphore:#x}"

    def _works_for(self, releases: Sequence[SeenCall], asked: Sequence[PermitWait]) -> Stack:
        """Where that is which makes room for those that ask, and never asks itself: the reader of a
        channel, or who hands out permits that are used up; () for who only gives back what was
        asked for, by himself or by another to whom that went.
        """
        begun = {wait.stack[0] for wait in asked if wait.stack}
        gave = [stack for stack in map(self._task_stacks.of, releases) if stack]
        if not gave or not begun or any(stack[0] in begun for stack in gave):
            return ()
        of_channel = any(
            _CHANNEL.search(f.function) for w in asked for f in (w.stack or ())[-_NEAR:]
        )
        anew = any(_ANEW.search(frame.function) for frame in gave[-1])
        return gave[-1] if of_channel or anew else ()

    def _watch(self, functions: Sequence[WatchedFunction]) -> bool:
        """Watch these from now on, where there are any and the kernel lets us."""
        program = f"/proc/{self._pid}/exe"
        try:
            self._calls = WatchedCalls(self._pid, program, functions) if functions else None
        except AttachFailed as failed:
            self._untold = failed.message
            return False
        if not functions:
            self._untold = "it was stripped of their names"
        return bool(functions)

    def _follow(self) -> None:
        """Reads what was called, in a thread of its own, until it is closed or comes too fast."""
        assert self._calls is not None
        most = _MOST_CALLS * (os.cpu_count() or 1)
        came, since = 0, time.monotonic()
        while not self._closed.wait(_EVERY):
            with self._lock:
                self._take(self._calls)
            now = time.monotonic()
            if now - since >= _SHOWS:
                rate = (self._calls.came - came) / (now - since)
                if rate > most:
                    self._untold = f"{rate:,.0f} a second would cost it too much"
                    break
                came, since = self._calls.came, now
            self._followed = time.thread_time()
        self._calls.close()
        with self._lock:
            self._queue.forget()
            self._wakers.forget()

    def _take(self, calls: WatchedCalls) -> None:
        for call in calls.taken():
            if call.function in PERMITS:
                self._queue.take([call])
            else:
                self._wakers.take(call)
        if calls.lost:
            self._missed, calls.lost = self._missed + calls.lost, 0
            self._queue.forget()
            self._wakers.forget()


def _own(stack: Stack) -> Stack:
    """Where a task is that has got its permit: no longer in what got it."""
    end = len(stack)
    while end > 1 and _GETS.search(stack[end - 1].function):
        end -= 1
    return stack[:end]
