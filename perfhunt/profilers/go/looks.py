"""Every goroutine of a process at one moment: its stack from memory, its state from what the
scheduler says of it, and of those that have a thread, from /proc.
"""

from __future__ import annotations

import struct

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Seconds
from perfhunt.profilers.go.goroutines import Goroutine, Goroutines, GoStatus, offset
from perfhunt.profilers.go.image import HINT, GoImage
from perfhunt.profilers.go.served import pprof_address
from perfhunt.profilers.go.told import GoToldLooker
from perfhunt.profilers.go.waits import GoWaits, name_of_children
from perfhunt.target.proc.files import read
from perfhunt.target.proc.memory import ProcessMemory
from perfhunt.target.proc.threads import has_own_pids, host_tids
from perfhunt.target.proc.waits import RUNNING, ProcessWaits, Wait

_PARKED = (GoStatus.WAITING, GoStatus.PREEMPTED, GoStatus.LEAKED)
_QUEUED = Wait(ThreadState.RUN_QUEUE)


class GoLooker:
    """Looks at one process, as often as it is asked. Nothing of it runs in the target, and the
    target is not stopped.
    """

    how = "from its memory, without stopping it"
    rate_hz = 40.0  # faster, a look finds too many of the same waits to be worth its cost
    enough_hz = 8.0  # what tells a wait seen half of the time to 10 points in ten seconds
    cost_limit = 0.05  # of one core
    unseen = ""

    def __init__(self, pid: int) -> None:
        """Raises AttachFailed, with the reason, where the process cannot be read."""
        try:
            self._memory = ProcessMemory(pid)
        except OSError as error:
            raise AttachFailed(
                f"The memory of pid {pid} may not be read: {error}",
                "Run it as the owner of the process (where ptrace_scope allows that) or as root.",
            ) from error
        try:
            image = GoImage(self._memory)
            self._goroutines = Goroutines(self._memory, image)
            self._waits = GoWaits(self._memory, self._goroutines)
        except AttachFailed:
            self._memory.close()
            raise
        except (struct.error, ValueError, IndexError) as error:
            self._memory.close()
            raise AttachFailed(
                f"What pid {pid} has of Go makes no sense: {error!r}", HINT
            ) from error
        self.cpu: Seconds = 0.0  # beside the caller's own thread: none
        self.seen = self.unmatched = 0
        self._pid, self._image = pid, image
        self._thread_at = offset(self._goroutines.machine, "procid")
        self._threads = ProcessWaits(pid)
        self._ran: dict[int, tuple[int, int]] = {}  # by thread: ns it ran and queued
        self._apart = has_own_pids(pid)
        # By address: the goroutine, who awaits it, what it waits for, and the sample made of it.
        self._samples: dict[int, tuple[Goroutine, int, Wait, ThreadSample]] = {}

    def close(self) -> None:
        """Let the process go. Idempotent."""
        self._memory.close()
        self._image.close()

    def look(self) -> list[ThreadSample]:
        """Every goroutine now. Raises AttachFailed once the process is gone, or where what was read
        made no sense.
        """
        try:
            goroutines = self._goroutines.every()
        except (struct.error, ValueError, IndexError) as error:
            why = f"What was read of pid {self._pid} changed meanwhile: {error!r}"
            raise AttachFailed(why) from error
        parked = [each for each in goroutines if each.status in _PARKED and not each.moved]
        others = [each for each in goroutines if each.status not in _PARKED or each.moved]
        waits = self._waits.of(parked, others)
        self.seen += len(goroutines)
        at_work = [self._at_work(each) for each in others]
        awaited = {
            each.number
            for each, wait in zip(parked, waits, strict=True)
            if wait.on == name_of_children(each.number)
        }
        return [
            self._sample(each, wait, each.parent if each.parent in awaited else 0)
            for each, wait in (*zip(parked, waits, strict=True), *zip(others, at_work, strict=True))
        ]

    def _at_work(self, each: Goroutine) -> Wait:
        """The state of one that is not parked: it waits for its turn, or has a thread."""
        if each.status is GoStatus.RUNNABLE:
            return _QUEUED
        number = self._memory.word(each.machine + self._thread_at) if each.machine else 0
        if not number:
            return RUNNING  # It got a thread, or left it, this very moment.
        tid = self._tid(number)
        try:
            ran, queued, _ = map(int, read(f"/proc/{self._pid}/task/{tid}/schedstat").split())
            if each.status is GoStatus.SYSCALL:
                wait = self._threads.wait(tid, read(f"/proc/{self._pid}/task/{tid}/syscall"))
                if wait.state is not ThreadState.ON_CPU:
                    return wait
        except (OSError, ValueError):
            self.unmatched += 1
            return RUNNING
        before = self._ran.get(tid, (ran, queued))
        self._ran[tid] = ran, queued
        return _QUEUED if queued - before[1] > ran - before[0] else RUNNING

    def _tid(self, number: int) -> int:
        return host_tids(self._pid).get(number, 0) if self._apart else number

    def _sample(self, each: Goroutine, wait: Wait, awaited_by: int) -> ThreadSample:
        before = self._samples.get(each.address)
        if before is None or before[:2] != (each, awaited_by) or before[2] != wait:
            before = self._samples[each.address] = (
                each,
                awaited_by,
                wait,
                ThreadSample(
                    pid=self._pid,
                    tid=0,
                    stack=each.at.stack,
                    state=wait.state,
                    wait_on=wait.on,
                    thread_name="goroutine",
                    still=each.status in _PARKED and not each.moved,
                    task=True,
                    holds=frozenset({name_of_children(awaited_by)} if awaited_by else ()),
                ),
            )
        return before[3]


def go_looker(pid: int) -> tuple[GoLooker | GoToldLooker, str]:
    """The memory of a Go process; where that cannot be read, what it tells of itself, where it
    serves that. Raises AttachFailed.
    """
    try:
        return GoLooker(pid), ""
    except AttachFailed as failed:
        address = pprof_address(pid)
        if address is None:
            raise
        return GoToldLooker(pid, address), failed.message
