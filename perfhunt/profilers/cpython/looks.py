"""Every thread, task and greenlet of a process at one moment: the stack from its memory, the state
from /proc around it.

A thread that did not run since the last look is where it was: it costs one small read. Of one that
ran, the stack is read between two readings of how long it had run: where they agree, stack and
state belong together beyond doubt.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import COLLECTS_GARBAGE, Stack, ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Seconds
from perfhunt.profilers.cpython.awaits import wait_of, wait_of_greenlet, with_lock
from perfhunt.profilers.cpython.chains import AwaitChain
from perfhunt.profilers.cpython.greenlets import Greenlets, Readiness, is_hub
from perfhunt.profilers.cpython.objects import Objects
from perfhunt.profilers.cpython.stacks import PythonThread, Stacks, ThreadStack
from perfhunt.profilers.cpython.target import learnt_layout
from perfhunt.profilers.cpython.tasks import Tasks
from perfhunt.target.proc.memory import ProcessMemory
from perfhunt.target.proc.threads import WatchedThread, WatchedThreads, queued_longer
from perfhunt.target.proc.waits import ProcessWaits, Wait

# Threads that are read between two readings of their clocks: more of them cost less, but a clock
# then has more time to move on between its readings.
_AT_ONCE = 8
_NOWHERE = ThreadStack()
_MOST_SWITCHED = 20_000  # samples of greenlets that are kept, so that each is made once
_SUBINTERPRETERS = (
    "tasks of subinterpreters are not read, and waits for a GIL of their own count as waits for a"
    " lock"
)
# The first version that notes which thread runs code in a subinterpreter; before, it is the thread
# that made the interpreter, unless each has a state of its own there.
_NUMBERED = (3, 13)
_UNNUMBERED = (
    "what a thread of the main interpreter runs in a subinterpreter is not told before 3.13"
)
_AT_WORK = (ThreadState.ON_CPU, ThreadState.RUN_QUEUE)
_INT = 0xFFFFFFFF  # the part of a word that is a C int


@dataclass(slots=True)
class _PythonWatched(WatchedThread):
    """A thread between looks, and where it was."""

    at: ThreadStack = _NOWHERE


@dataclass(slots=True)
class _Moved:
    """A thread that ran since the last look, or for all that is known: how long it had run by now,
    and what it waits for. `threads` is what interpreters know of it, the outermost first.
    """

    watched: _PythonWatched
    threads: Sequence[PythonThread]
    before: bytes
    wait: Wait


def several_interpreters(pid: int) -> str:
    """Why a tool that reads one interpreter does not see all of a process; "" where it does, and
    where that cannot be told.
    """
    try:
        looker = CpythonLooker(pid)
    except AttachFailed:
        return ""
    try:
        number = looker.interpreters
    finally:
        looker.close()
    return f"pid {pid} has {number} Python interpreters" if number > 1 else ""


class CpythonLooker:
    """Looks at one process, as often as it is asked. Nothing of it runs in the target, and the
    target is not stopped.
    """

    how = "from its memory, without stopping it"
    rate_hz = 40.0  # faster, a look finds too many of the same waits to be worth its cost
    enough_hz = 8.0  # what tells a wait seen half of the time to 10 points in ten seconds
    cost_limit = 0.05  # of one core

    def __init__(self, pid: int) -> None:
        """Raises AttachFailed, with the reason, where the process cannot be read."""
        try:
            self._memory = ProcessMemory(pid)
        except OSError as error:
            raise AttachFailed(f"The memory of pid {pid} may not be read: {error}") from error
        try:
            objects = Objects(self._memory, learnt_layout(pid))
        except AttachFailed:
            self._memory.close()
            raise
        self.cpu: Seconds = 0.0  # beside the caller's own thread: none
        self.seen = self.unmatched = 0
        self._pid, self._runtime = pid, objects.runtime
        self._parked, collecting = objects.layout.parked, objects.layout.collecting
        self._collecting = objects.runtime + collecting if collecting is not None else 0
        self._numbered = objects.layout.version >= _NUMBERED
        self._stacks, self._tasks = Stacks(objects), Tasks(objects)
        self._greenlets = Greenlets(objects, self._stacks)
        self._waits = ProcessWaits(pid)
        self._watched = WatchedThreads(pid, _PythonWatched)
        # What was told of a task, whether its sleep was over then, and the sample made of it.
        self._told: dict[int, tuple[AwaitChain, bool, ThreadSample]] = {}
        # Of greenlets, by which it is and the stack, and whether it is ready.
        self._switched: dict[tuple[int, int, bool], ThreadSample] = {}
        self._readiness = Readiness()

    @property
    def unseen(self) -> str:
        """What of the process is not read, and why, as a clause; "" for none."""
        whys = [self._greenlets.unseen]
        if self._stacks.interpreters > 1:
            whys += [_SUBINTERPRETERS, "" if self._numbered else _UNNUMBERED]
        return "; ".join(filter(None, whys))

    @property
    def interpreters(self) -> int:
        """How many there are in the process now."""
        self._stacks.threads()
        return self._stacks.interpreters

    def close(self) -> None:
        """Let the process go. Idempotent."""
        self._memory.close()
        self._watched.close()

    def look(self) -> list[ThreadSample]:
        """Every thread now, and every task that waits. Raises AttachFailed once the process is
        gone, or where what was read made no sense.
        """
        if not self._memory.lasts(self._runtime):
            raise AttachFailed(f"Process {self._pid} has ended, or runs another program now")
        try:
            return self._seen()
        except (struct.error, ValueError, IndexError) as error:
            why = f"What was read of pid {self._pid} changed meanwhile: {error!r}"
            raise AttachFailed(why) from error

    def _seen(self) -> list[ThreadSample]:
        met, python = self._stacks.threads(), dict[int, list[PythonThread]]()
        for thread in reversed(met):
            if self._numbered or thread.tid not in python:
                python.setdefault(thread.tid, []).append(thread)
        living = self._watched.living()
        if not living:
            raise AttachFailed(f"Process {self._pid} has ended")
        self.seen += len(python)
        self.unmatched += sum(tid not in living for tid in python)
        every, samples = list(living.items()), list[ThreadSample]()
        collecting = False
        for begin in range(0, len(every), _AT_ONCE):
            some = list(self._threads(every[begin : begin + _AT_ONCE], python))
            collecting = collecting or (any(_runs_python(s) for s in some) and self._collects())
            samples += some
        if collecting:
            samples = _who_collects(samples)
        samples += self._awaiting([thread.state for thread in met])
        return [*samples, *self._switched_out(samples)]

    def _collects(self) -> bool:
        """Whether garbage is collected now."""
        return bool(self._collecting and self._memory.word(self._collecting) & _INT)

    def _threads(
        self,
        some: Sequence[tuple[int, _PythonWatched]],
        python: Mapping[int, Sequence[PythonThread]],
    ) -> Iterator[ThreadSample]:
        """The samples of these threads, (own number, thread) each; those that ended have none."""
        moved: list[_Moved] = []
        for own, watched in some:
            before = self._watched.ran(watched)
            if not before:
                continue
            if stood := watched.stood(before):
                yield stood
            else:
                line = watched.call()
                wait = self._waits.wait(watched.tid, line)
                wait = with_lock(wait, line, self._memory, self._parked)
                moved.append(_Moved(watched, python.get(own, ()), before, wait))
        stacks = iter(self._stacks.stacks([thread for each in moved for thread in each.threads]))
        for each in moved:
            at = _in_all([next(stacks) for _ in each.threads])
            if after := self._watched.ran(each.watched):
                yield self._sample(each, at, after)

    def _sample(self, moved: _Moved, at: ThreadStack, after: bytes) -> ThreadSample:
        watched, wait = moved.watched, moved.wait
        if wait.state is ThreadState.ON_CPU and queued_longer(watched.ran, after):
            wait = Wait(ThreadState.RUN_QUEUE)
        asleep = wait.state not in _AT_WORK
        watched.ran, watched.at = after, at
        watched.sample = ThreadSample(
            pid=self._pid,
            tid=watched.tid,
            stack=at.stack,
            state=wait.state,
            wait_on=wait.on,
            thread_name=watched.name,
            still=asleep and moved.before == after,
        )
        return watched.sample

    def _awaiting(self, states: Sequence[int]) -> list[ThreadSample]:
        entered = {frame for watched in self._watched for frame in watched.at.outside}
        now, told, samples = time.monotonic(), self._told, []
        chains = self._tasks.read(entered, states)
        for chain in chains:
            over = chain.due is not None and now > chain.due
            last = told.get(chain.task)
            if last is None or last[0] is not chain or last[1] is not over:
                last = told[chain.task] = chain, over, self._sample_of(chain, now)
            samples.append(last[2])
        if len(told) > 2 * len(chains):
            living = {chain.task for chain in chains}
            self._told = {task: last for task, last in told.items() if task in living}
        return samples

    def _switched_out(self, threads: Sequence[ThreadSample]) -> Iterator[ThreadSample]:
        hubs = [thread for thread in threads if is_hub(thread.stack)]
        waiting = self._greenlets.waiting(hub_runs=bool(hubs))
        resting = any(thread.state not in _AT_WORK for thread in hubs)
        if len(self._switched) > _MOST_SWITCHED:
            self._switched.clear()
        for each, ready in zip(waiting, self._readiness.ready(waiting, resting), strict=True):
            key = each.at, id(each.stack), ready
            if key not in self._switched:
                wait = Wait(ThreadState.LOOP) if ready else wait_of_greenlet(each)
                self._switched[key] = self._waiting(each.stack, wait, "greenlet")
            yield self._switched[key]

    def _sample_of(self, chain: AwaitChain, now: Seconds) -> ThreadSample:
        return self._waiting(chain.stack, wait_of(chain, now), "task")

    def _waiting(self, stack: Stack, wait: Wait, name: str) -> ThreadSample:
        return ThreadSample(
            pid=self._pid,
            tid=0,
            stack=stack,
            state=wait.state,
            wait_on=wait.on,
            thread_name=name,
            still=True,
            task=True,
        )


def _in_all(stacks: Sequence[ThreadStack]) -> ThreadStack:
    """Where a thread is that went from one interpreter into the next."""
    if len(stacks) == 1:
        return stacks[0]
    return ThreadStack(
        tuple(frame for each in stacks for frame in each.stack),
        tuple(frame for each in stacks for frame in each.outside),
    )


def _runs_python(sample: ThreadSample) -> bool:
    return sample.state in _AT_WORK and bool(sample.stack)


def _who_collects(samples: Sequence[ThreadSample]) -> list[ThreadSample]:
    """The same while garbage is collected, by the one thread that runs then; which it is of several
    is not told.
    """
    running = [sample for sample in samples if _runs_python(sample)]
    if len(running) != 1:
        return list(samples)
    (one,) = running
    collects = replace(one, stack=(*one.stack, COLLECTS_GARBAGE))
    return [collects if sample is one else sample for sample in samples]
