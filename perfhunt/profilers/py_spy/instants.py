"""Every thread at one moment: its Python stack from a py-spy dump, its state from /proc in the same
few milliseconds.

A dump alone cannot say what a thread waits for, and /proc alone cannot say where in the code.
py-spy's own idle flag is taken only as a third witness: in a target older than Python 3.11 it is
guessed from function names (py-spy src/python_spy.rs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Seconds
from perfhunt.profilers.py_spy.dump import DumpedThread, take_dump
from perfhunt.profilers.py_spy.program import unusable_on
from perfhunt.target.proc.files import read
from perfhunt.target.proc.threads import thread_name, tids
from perfhunt.target.proc.waits import ProcessWaits, Wait


@dataclass(frozen=True, slots=True)
class ThreadReading:
    """One look at one thread through /proc: its wait, and the nanoseconds it had been on a CPU and
    in the run queue.
    """

    wait: Wait
    on_cpu: int = 0
    queued: int = 0


def settle(
    before: ThreadReading | None,
    after: ThreadReading | None,
    active: bool | None,
    since: ThreadReading | None = None,
) -> Wait:
    """What a thread did at the moment between two readings; `active` is py-spy's word for it, None
    when it has none.

    Two readings that agree are believed. Else py-spy decides between running and waiting, and a
    wait is named by the later reading that has one, which is the nearer to the stack. A thread that
    runs is on a CPU, or in the run queue if it queued for longer than it ran since the reading
    `since` (`before`, when not given): the kernel's clocks of both move in steps of milliseconds,
    so a longer stretch tells more.
    """
    since = since or before
    waits = [reading.wait for reading in (before, after) if reading is not None]
    if not waits:
        return Wait(ThreadState.UNKNOWN)
    if len(set(waits)) == 1:
        chosen = waits[0]
    else:
        asleep = [wait for wait in waits if wait.state is not ThreadState.ON_CPU]
        chosen = Wait(ThreadState.ON_CPU) if active and len(asleep) < len(waits) else asleep[-1]
    if chosen.state is ThreadState.ON_CPU and since is not None and after is not None:
        queued, ran = after.queued - since.queued, after.on_cpu - since.on_cpu
        return Wait(ThreadState.RUN_QUEUE) if queued > ran else chosen
    return chosen


def _still(before: ThreadReading | None, after: ThreadReading | None) -> bool:
    """Whether a thread slept through both readings without running in between: what it was doing
    then is beyond doubt.

    They must be the first and the last of a dump: on a busy machine py-spy may have read the stacks
    well before it answers.
    """
    if before is None or after is None or before.wait.state is ThreadState.ON_CPU:
        return False
    return (before.wait, before.on_cpu) == (after.wait, after.on_cpu)


class DumpLooker:
    """Looks at one process by py-spy's dumps, each a process of its own. `cpu` is what they cost
    so far.
    """

    how = "by py-spy's dumps, eight times a second"
    enough_hz = rate_hz = 8.0  # what a tenth of a core pays for where a dump costs 12 ms of CPU
    cost_limit = 0.10  # of one core
    unseen = ""  # what there is beside threads, nobody knows

    def __init__(self, pid: int) -> None:
        """Raises AttachFailed when py-spy cannot be used on it."""
        if why := unusable_on(pid):
            raise AttachFailed(why)
        self.cpu: Seconds = 0.0
        self.seen = self.unmatched = 0
        self._pid, self._waits = pid, ProcessWaits(pid)
        self._quickest: Seconds = 0.0  # the shortest that a dump took

    def look(self) -> list[ThreadSample]:
        """Every thread now. Raises AttachFailed when there is no dump."""
        looks: list[Mapping[int, ThreadReading]] = []
        dump = take_dump(self._pid, partial(_look, self._waits, looks), self._quickest / 2)
        self.cpu += dump.cpu
        self._quickest = min(self._quickest or dump.took, dump.took)
        samples = joined(self._pid, looks, dump.threads)
        known = {sample.tid for sample in samples}
        self.seen += len(dump.threads)
        self.unmatched += sum(thread.tid not in known for thread in dump.threads)
        return samples

    def close(self) -> None:
        """Nothing is held between dumps."""


def _look(waits: ProcessWaits, looks: list[Mapping[int, ThreadReading]]) -> None:
    looks.append(readings(waits))


def readings(waits: ProcessWaits) -> dict[int, ThreadReading]:
    """What every thread of a process does now. One whose call may not be read is UNKNOWN."""
    threads = {}
    for tid in tids(waits.pid):
        base = f"/proc/{waits.pid}/task/{tid}"
        try:
            on_cpu, queued, _ = read(f"{base}/schedstat").split()
            threads[tid] = ThreadReading(waits.wait(tid, _syscall(base)), int(on_cpu), int(queued))
        except (FileNotFoundError, ProcessLookupError):
            continue  # The thread ended.
    return threads


def _syscall(base: str) -> bytes:
    try:
        return read(f"{base}/syscall")
    except PermissionError:
        return b""


def joined(
    pid: int, looks: Sequence[Mapping[int, ThreadReading]], dump: Sequence[DumpedThread]
) -> list[ThreadSample]:
    """One sample per thread: those in the dump with their stacks, the others (not Python's) with an
    empty one.

    `looks` are the readings made while the dump ran, at least one; its stacks are of the moment
    between the last two.
    """
    first, before, after = looks[0], looks[-2:][0], looks[-1]
    dumped = {thread.tid: thread for thread in dump if thread.tid}
    samples = []
    for tid in before.keys() | after.keys():
        python = dumped.get(tid)
        wait = settle(
            before.get(tid), after.get(tid), python.active if python else None, first.get(tid)
        )
        holds = python is not None and python.holds_gil
        if holds and wait.state is ThreadState.GIL:
            wait = Wait(ThreadState.ON_CPU)  # It was given the GIL in between.
        samples.append(
            ThreadSample(
                pid=pid,
                tid=tid,
                stack=python.stack if python else (),
                state=str(wait.state),
                wait_on=wait.on,
                holds_gil=holds,
                thread_name=(python.name if python else "") or thread_name(pid, tid),
                still=_still(first.get(tid), after.get(tid)),
            )
        )
    return samples
