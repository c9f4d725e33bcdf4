"""Every thread at one moment: its Python stack from a py-spy dump, its state from /proc in the same
few milliseconds.

A dump alone cannot say what a thread waits for, and /proc alone cannot say where in the code.
py-spy's own idle flag is taken only as a third witness: in a target older than Python 3.11 it is
guessed from function names (py-spy src/python_spy.rs).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import EvidenceKind, Instant, Instants, Loss, ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Seconds
from perfhunt.profilers.py_spy.dump import DumpedThread, take_dump
from perfhunt.profilers.py_spy.program import unusable
from perfhunt.profilers.release import capture_targets, release
from perfhunt.target.proc.files import read
from perfhunt.target.proc.threads import thread_name, tids
from perfhunt.target.proc.tree import working_pids
from perfhunt.target.proc.waits import ProcessWaits, Wait

_RATE_HZ = 8.0  # what a tenth of a core pays for where a dump costs 12 ms of CPU
_COST_LIMIT = 0.10  # of one core, dumps and readings together; beyond it the series is thinned
_GIVE_UP = 10  # failed dumps in a row, with none that worked


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


class InstantsCapture:
    """A series of instants being taken, in a thread of the controller; begins when made.

    `pids` are the workers; with `root` their replacements are followed. `clock` gives seconds since
    the run began. The rate is lowered until looking costs no more than a tenth of one core.
    """

    def __init__(
        self,
        pids: Sequence[int],
        seconds: Seconds,
        clock: Callable[[], Seconds] = time.monotonic,
        *,
        root: int = 0,
    ) -> None:
        if why := unusable():
            raise AttachFailed(why)
        self._pids, self._root, self._seconds, self._clock = tuple(pids), root, seconds, clock
        self._waits: dict[int, ProcessWaits] = {}
        self._targets = capture_targets(pids)
        self._instants: list[Instant] = []
        self._errors = 0
        self._dumps = self._dumped = self._unmatched = 0  # the last two of threads
        self._failure: AttachFailed | None = None
        self._cpu: Seconds = 0.0
        self._quickest: Seconds = 0.0  # the shortest that a dump took
        self._began = time.monotonic()
        self._took: Seconds = 0.0
        self._stop = threading.Event()
        self._notes: list[str] = []
        self._worker = threading.Thread(target=self._run, name="perfhunt-instants", daemon=True)
        self._worker.start()

    def stop(self) -> None:
        """End the series now. Idempotent."""
        self._stop.set()
        self._worker.join()

    def wait(self) -> Instants:
        """The series, when its time is over or it was stopped. Raises AttachFailed when not one
        instant could be taken.
        """
        self._worker.join()
        if not self._instants and self._failure is not None:
            raise self._failure
        cost = f"the instants cost {self._cpu / max(self._took, 1e-9):.1%} of one core"
        return Instants(self._took, tuple(self._instants), self._errors, (*self._notes, cost))

    def losses(self) -> tuple[Loss, ...]:
        """Dumps that failed, threads that /proc does not know, and looks that cost too much."""
        tried = self._errors + self._dumps
        failed = self._failure.message.rstrip(".") if self._failure else ""
        planned = min(self._took, self._seconds) * _RATE_HZ
        costly = f"{len(self._instants)} of {planned:.0f} planned looks were taken, since one costs"
        budget = f"and they may use {_COST_LIMIT:.0%} of one core"
        cost = self._cpu / max(1, tried) * 1000
        return tuple(
            Loss(EvidenceKind.WAITS, share, why, then)
            for share, why, then in (
                (
                    self._errors / max(1, tried),
                    f"{self._errors} of {tried} dumps failed: {failed}",
                    "",
                ),
                (
                    self._unmatched / max(1, self._dumped),
                    f"{self._unmatched} of {self._dumped} threads that py-spy saw have no such"
                    " number in /proc",
                    "Look from inside the container.",
                ),
                (
                    max(0.0, 1 - len(self._instants) / max(1.0, planned)),
                    f"{costly} {cost:.0f} ms of CPU {budget}",
                    'Hold longer: [ramp] hold = "60s".',
                ),
            )
            if share > 0
        )

    def _run(self) -> None:
        end = self._began + self._seconds
        try:
            while not self._stop.is_set() and (now := time.monotonic()) < end:
                spent, own = self._cpu, time.thread_time()
                self._take()
                self._cpu += time.thread_time() - own
                period = max(1.0 / _RATE_HZ, (self._cpu - spent) / _COST_LIMIT)
                if not self._instants and self._errors >= _GIVE_UP:
                    return
                self._stop.wait(max(0.0, min(now + period, end) - time.monotonic()))
        finally:
            self._took = time.monotonic() - self._began
            self._notes += release(self._targets)

    def _take(self) -> None:
        at, threads = self._clock(), []
        for pid in working_pids(self._pids, self._root):
            waits = self._waits.setdefault(pid, ProcessWaits(pid))
            looks: list[Mapping[int, ThreadReading]] = []
            try:
                dump = take_dump(pid, partial(_look, waits, looks), self._quickest / 2)
            except AttachFailed as failed:
                self._errors += 1
                self._failure = failed
                continue
            self._cpu += dump.cpu
            self._quickest = min(self._quickest or dump.took, dump.took)
            samples = joined(pid, looks, dump.threads)
            known = {sample.tid for sample in samples}
            self._dumps += 1
            self._dumped += len(dump.threads)
            self._unmatched += sum(thread.tid not in known for thread in dump.threads)
            threads += samples
        if threads:
            self._instants.append(Instant(at, tuple(threads)))


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
