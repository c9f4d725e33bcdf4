"""Threads of a program that runs on tokio, and its tasks that wait: for what, and who has it."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from perfhunt.analysis.blame.snapshots import FOR_A_THREAD, FUTEX, SEVERAL
from perfhunt.model.profile import Stack, ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Seconds
from perfhunt.profilers.native.looker import NativeLooker
from perfhunt.profilers.tokio.awaits import (
    Await,
    AwaitKind,
    SocketTokens,
    await_at,
    in_application,
    most_telling,
)
from perfhunt.profilers.tokio.following import CallsHalf, TokioCalls
from perfhunt.profilers.tokio.permits import PermitUse, PermitWait
from perfhunt.profilers.tokio.picture import TaskPicture
from perfhunt.profilers.tokio.stacks import TaskStacks, in_hand
from perfhunt.profilers.tokio.wakers import HEADER, LeftWaker, TaskState, WaitingTask, task_state
from perfhunt.target.binary.crates import linked_crates

_SEVERAL = 2  # that have a permit at a time, or more
# Of the looks in which somebody had one: who was missed when he gave it back makes two of one.
_OFTEN = 0.2
_GETS = re.compile(r"\btokio::sync::")  # asks for a permit
# What gives a permit that nobody gave back.
_MAKES_ROOM = re.compile(r"\bSemaphore::add_permits$|\bmpsc::")
_LANGUAGE = ("std::", "core::", "alloc::", "tokio::")
_STATES = {
    AwaitKind.SOCKET: ThreadState.SOCKET,
    AwaitKind.TIME: ThreadState.SLEEP,
    AwaitKind.PERMIT: ThreadState.LOCK,
    AwaitKind.TOLD: ThreadState.AWAIT,
}


class TokioLooker(NativeLooker):
    """Looks at one process whose tasks run on tokio."""

    # Of one core: calls that are read take up to two thirds of it, whether anybody looks or not.
    cost_limit = 0.15

    def __init__(self, pid: int) -> None:
        """Raises AttachFailed, with the reason, where the process cannot be read."""
        super().__init__(pid)
        self._loop = "tokio"  # also where no name of its says so
        self._counted: Seconds = 0.0  # of what following took, in `cpu` already
        self._followed = TokioCalls(pid, self._image)
        self._task_stacks = TaskStacks(self._image, self._unwinder)
        self._tokens = SocketTokens(pid)
        self._libraries = (*linked_crates(f"/proc/{pid}/exe"), *_LANGUAGE)
        # By where a task waits for a time, how many wakers it has beside, at most.
        self._beside: dict[Stack, int] = {}
        # Where libraries wait for a time beside what it is a limit to.
        self._limits: set[Stack] = set()
        # By semaphore, in how many looks nobody, one, several had a permit.
        self._had: dict[int, Counter[int]] = {}

    def close(self) -> None:
        """Let the process go. Idempotent."""
        self._followed.close()
        super().close()

    def look(self) -> list[ThreadSample]:
        """Every thread now, and every task that waits. Raises AttachFailed once the process is
        gone.
        """
        picture = TaskPicture(self._pid, super().look())
        with self._followed.lock:
            self._followed.refresh()
            at, tasks = time.monotonic(), self._followed.wakers.tasks
            states = {each: task_state(self._read(each, HEADER.size)) for each in tasks}
            self._followed.catch_up()  # else of a task's last poll the first waker may be all
            semaphores = self._followed.permits.semaphores
            held = [e for each in semaphores.items() for e in self._add_asking(picture, *each)]
            self._add_waiting(picture, states, at)
        for task, stack, name in held:
            if task is None:
                picture.work(stack, name)
            else:
                picture.hold(task, stack, name)
        self.cpu += self._followed.cpu - self._counted
        self._counted = self._followed.cpu
        return picture.samples

    def _unseen_tasks(self) -> str:
        unseen = self._followed.unseen
        if self._followed.watches(CallsHalf.WAKERS) or not unseen:
            return unseen
        return f"{super()._unseen_tasks()}; calls of it are not followed: {unseen}"

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
        if works := self._works_for(use, waiting + holding):
            name = f"{FOR_A_THREAD}{semaphore:#x}"
        for each in waiting:
            state = ThreadState.LOOP if each.handed else ThreadState.LOCK
            on = "" if each.handed else name
            picture.add(self._task_of(each), each.stack or (), state, on)
        if works:
            return [(None, works, name)] if waiting else []
        return [(self._task_of(each), _own(each.stack or ()), name) for each in holding]

    def _add_waiting(
        self, picture: TaskPicture, states: Mapping[int, TaskState], at: Seconds
    ) -> None:
        """Those that left a waker, by the states they had then, but for what waits for a permit,
        which is known better.
        """
        over = list[int]()
        for address, state in states.items():
            task = self._followed.wakers.tasks.get(address)
            if task is None or task.left[-1].call.at > at:
                continue  # it ran since
            if state.over:
                over.append(address)
            if state.over or state.runs or picture.has(address):
                continue
            awaits = [self._await(left) for left in task.left]
            what = most_telling(awaits, self._libraries)
            if not state.queued and self._is_past(task, what, state) and self._is_at_client(task):
                continue
            if what.kind is AwaitKind.PERMIT and self._followed.watches(CallsHalf.PERMITS):
                continue
            self._add_await(picture, address, awaits, what, queued=state.queued)
        self._followed.wakers.leave_out(over)

    def _add_await(
        self,
        picture: TaskPicture,
        address: int,
        awaits: Sequence[Await],
        what: Await,
        *,
        queued: bool,
    ) -> None:
        """One that waits for `what` of all that it awaits, named by the library's function that
        asked for it where that is not the application's.
        """
        theirs = not in_application(what, self._libraries)
        beside = (e for e in awaits if e is not what and e.kind is AwaitKind.TIME)
        self._limits |= {e.own for e in beside if not in_application(e, self._libraries)}
        stack = what.own if theirs or what.kind is AwaitKind.TOLD else what.stack
        if queued:
            picture.add(address, stack, ThreadState.LOOP)
        elif what.of_client:
            picture.add(address, stack, ThreadState.POLL, what.on)
        elif theirs and what.own in self._limits:  # to what it awaits since an earlier poll
            picture.add(address, stack, ThreadState.AWAIT)
        else:
            picture.add(address, stack, _STATES[what.kind], what.on)

    def _is_past(self, task: WaitingTask, what: Await, state: TaskState) -> bool:
        """Whether a task may have what it left its last wakers for: it ran since; or it left one at
        a time that had come (as tokio does), and has fewer wakers than others there.
        """
        if what.kind is not AwaitKind.TIME:
            return task.woken
        beside = state.wakers - len(task.left)
        self._beside[what.own] = max(beside, self._beside.get(what.own, beside))
        return task.woken or beside < self._beside[what.own]

    def _is_at_client(self, task: WaitingTask) -> bool:
        """Whether a task that ran and left no waker since is at its client's connection again."""
        lead = self._tokens.lead(in_hand(task.socket)) if task.socket is not None else None
        return lead is not None and lead.inbound

    def _await(self, left: LeftWaker) -> Await:
        if left.what is None:
            left.what = await_at(self._task_stacks.of(left.call), left.call, self._tokens)
            left.call = left.call._replace(raw=b"")
        return left.what

    def _read_wait(self, wait: PermitWait) -> None:
        """Read its call once, and drop the copy of the stack."""
        if wait.stack is None:
            wait.stack = self._task_stacks.of(wait.call)
            wait.call = wait.call._replace(raw=b"")

    def _task_of(self, wait: PermitWait) -> int:
        """The address of the task that asked for a permit; 0 where nobody knows it."""
        return next((word for word in wait.words if word in self._followed.wakers.tasks), 0)

    def _name(self, semaphore: int, having: int) -> str:
        """What a semaphore is called: one that several have at a time is told from a lock."""
        seen = self._had.setdefault(semaphore, Counter())
        seen[min(having, _SEVERAL)] += 1
        several = seen[_SEVERAL] > _OFTEN * (seen[1] + seen[_SEVERAL])
        return f"{SEVERAL if several else FUTEX}{semaphore:#x}"

    def _works_for(self, use: PermitUse, asked: Sequence[PermitWait]) -> Stack:
        """Where that is which makes room for those that ask, and never asks itself: the reader of a
        channel, or who hands out permits that are used up; () for who only gives back what was
        asked for, by himself or by another to whom that went.
        """
        begun = {wait.stack[0] for wait in asked if wait.stack}
        gave = [stack for stack in map(self._task_stacks.of, use.releases) if stack]
        if not gave or not begun or any(stack[0] in begun for stack in gave):
            return ()
        return gave[-1] if any(_MAKES_ROOM.search(f.function) for f in gave[-1]) else ()


def _own(stack: Stack) -> Stack:
    """Where a task is that has got its permit: no longer in what got it."""
    end = len(stack)
    while end > 1 and _GETS.search(stack[end - 1].function):
        end -= 1
    return stack[:end]
