"""The threads of a process: which there are, what each does from look to look, how often they were
switched, and whether somebody holds them stopped.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, TypeVar

from perfhunt.model.profile import ThreadSample
from perfhunt.model.units import Bytes
from perfhunt.target.proc.files import read, text
from perfhunt.target.proc.process import stat, status_field

_LINE: Bytes = 256  # of /proc/PID/task/TID/syscall (a number, eight words) or schedstat (three)
_FOR_ALL_ELSE = 2  # of the descriptors that this process may have, one half is for all else


def tids(pid: int) -> list[int]:
    """The threads of a process now; empty when it is gone."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def host_tids(pid: int, known: Mapping[int, int] = MappingProxyType({})) -> dict[int, int]:
    """The threads of a process by the numbers it knows them by itself: own number -> ours.
    `known` are own numbers that were read before, by ours.

    They differ where it lives in a pid namespace of its own (a container): what is read from its
    memory, or told by it, holds its own numbers, and /proc goes by ours. Threads that ended
    meanwhile are left out.
    """
    if not has_own_pids(pid):
        return {tid: tid for tid in tids(pid)}
    numbers = {}
    for tid in tids(pid):
        with suppress(OSError):
            own = known.get(tid) or own_number(read(f"/proc/{pid}/task/{tid}/status"), tid)
            numbers[own] = tid
    return numbers


def has_own_pids(pid: int) -> bool:
    """Whether a process lives in a pid namespace below ours, so that its numbers are not ours."""
    return len(status_field(pid, "NSpid").split()) > 1


def own_pid(pid: int) -> int:
    """What a process calls itself, in the innermost pid namespace it is in; `pid` when gone."""
    return int((status_field(pid, "NSpid").split() or [str(pid)])[-1])


def own_number(status: bytes, tid: int) -> int:
    """What a thread calls itself, by its status: the last number of the line `NSpid`, outermost
    namespace first (proc(5)); `tid` where the kernel has no such line.
    """
    at = status.find(b"\nNSpid:")
    return int(status[at + 1 :].partition(b"\n")[0].split()[-1]) if at >= 0 else tid


def thread_name(pid: int, tid: int) -> str:
    """What the kernel calls a thread, or "" when it is gone."""
    return text(f"/proc/{pid}/task/{tid}/comm")


def switches_by_thread(pid: int) -> dict[int, tuple[int, int]]:
    """(voluntary, involuntary) context switches so far of each living thread of a process."""
    switches = {}
    for tid in tids(pid):
        with suppress(OSError):
            switches[tid] = _switches(read(f"/proc/{pid}/task/{tid}/status"))
    return switches


def _switches(status: bytes) -> tuple[int, int]:
    at = status.find(b"\nvoluntary_ctxt_switches:")
    if at < 0:
        return 0, 0
    field = status[at:].split(maxsplit=4)
    return int(field[1]), int(field[3])


def switches(pid: int) -> int:
    """Context switches so far of all living threads of a process, of either kind."""
    return sum(map(sum, switches_by_thread(pid).values()))


def is_held(pid: int) -> bool:
    """Whether any thread of the process is stopped by a signal or by a tracer."""
    stats = (stat(pid, tid) for tid in tids(pid))
    return any(thread is not None and thread.state in "Tt" for thread in stats)


def tracer(pid: int) -> int:
    """The pid that traces any thread of the process, or 0."""
    for tid in tids(pid):
        with suppress(OSError):
            for line in read(f"/proc/{pid}/task/{tid}/status").splitlines():
                if line.startswith(b"TracerPid:") and (holder := int(line.split()[1])):
                    return holder
    return 0


class ThreadFile:
    """A line that the kernel tells of one thread, to be read again and again.

    It is kept open, and then names this very thread, whoever has its number later, while that takes
    a descriptor of the lower half of those that this process may have (`ulimit -n`). Beyond, it is
    opened at each reading: that costs four times as much, and no thread is left out.
    """

    __slots__ = ("_kept", "_path")

    def __init__(self, pid: int, tid: int, name: str) -> None:
        """Raises OSError."""
        self._path = f"/proc/{pid}/task/{tid}/{name}"
        self._kept = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and self._kept >= soft // _FOR_ALL_ELSE:
            os.close(self._kept)
            self._kept = -1

    def line(self) -> bytes:
        """The line now. Raises OSError: once the thread has ended, and after `close`."""
        if self._kept >= 0:
            return os.pread(self._kept, _LINE, 0)
        file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(file, _LINE, 0)
        finally:
            os.close(file)

    def close(self) -> None:
        """Let it go. Idempotent."""
        if self._kept >= 0:
            os.close(self._kept)
        self._kept, self._path = -1, ""


@dataclass(slots=True)
class WatchedThread:
    """A thread between looks: its number here and the one it calls itself, its lines, how long it
    had run and queued (the kernel's own line) at the last look, and what was seen of it then.
    """

    tid: int
    own: int
    name: str
    schedstat: ThreadFile
    syscall: ThreadFile | None  # None where it may not be read
    ran: bytes = b""
    sample: ThreadSample | None = None

    def call(self) -> bytes:
        """The kernel's line of what it is in; b"" where that may not be read."""
        try:
            return self.syscall.line() if self.syscall is not None else b""
        except OSError:
            return b""

    def stood(self, ran: bytes) -> ThreadSample | None:
        """The last sample, if the thread has been asleep since."""
        last = self.sample
        return last if last is not None and last.still and ran == self.ran else None

    def close(self) -> None:
        """Let its files go. Idempotent."""
        self.schedstat.close()
        if self.syscall is not None:
            self.syscall.close()


Watched = TypeVar("Watched", bound=WatchedThread)


class WatchedThreads(Generic[Watched]):
    """The threads of one process, from look to look; each is a `kind`."""

    def __init__(self, pid: int, kind: type[Watched]) -> None:
        self._pid, self._kind = pid, kind
        self._apart = has_own_pids(pid)
        self._threads: dict[int, Watched] = {}  # by our numbers

    def __iter__(self) -> Iterator[Watched]:
        return iter(self._threads.values())

    def living(self) -> dict[int, Watched]:
        """The threads now, by what they call themselves; none once the process is gone."""
        numbers = (
            host_tids(self._pid, {tid: thread.own for tid, thread in self._threads.items()})
            if self._apart
            else {tid: tid for tid in tids(self._pid)}
        )
        for tid in self._threads.keys() - set(numbers.values()):
            self._threads.pop(tid).close()
        living = {}
        for own, tid in numbers.items():
            with suppress(OSError):  # It has ended meanwhile.
                living[own] = self._threads.get(tid) or self._meet(own, tid)
        return living

    def ran(self, thread: Watched) -> bytes:
        """How long a thread has run and queued; b"", and it is let go, once it has ended."""
        try:
            return thread.schedstat.line()
        except OSError:
            self._threads.pop(thread.tid, thread).close()
            return b""

    def close(self) -> None:
        """Let all go. Idempotent."""
        for thread in self._threads.values():
            thread.close()
        self._threads.clear()

    def _meet(self, own: int, tid: int) -> Watched:
        schedstat = ThreadFile(self._pid, tid, "schedstat")
        try:
            syscall = ThreadFile(self._pid, tid, "syscall")
        except OSError:
            syscall = None
        self._threads[tid] = thread = self._kind(
            tid=tid,
            own=own,
            name=thread_name(self._pid, tid),
            schedstat=schedstat,
            syscall=syscall,
        )
        return thread


def queued_longer(before: bytes, after: bytes) -> bool:
    """Whether a thread queued for longer than it ran between two readings of its schedstat."""
    if not before or not after:
        return False
    (ran, queued, _), (ran_now, queued_now, _) = before.split(), after.split()
    return int(queued_now) - int(queued) > int(ran_now) - int(ran)
