"""Every Java thread at one moment: the stack, and what it waits for and has, from the JVM's own
dump, which stops them all; what runs, or is in code below Java, by /proc.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from statistics import median

from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.profile import ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Bytes, Seconds
from perfhunt.profilers.jvm.attach import AttachSocket
from perfhunt.profilers.jvm.dump import DumpReader, JavaObject, JavaState, JavaThread
from perfhunt.target.proc.files import read, text
from perfhunt.target.proc.threads import ThreadFile, host_tids, thread_name, tids
from perfhunt.target.proc.waits import ProcessWaits, Wait

# To list who has which lock of java.util.concurrent, the JVM stops and goes through its whole heap:
# 3 ms for 30 MB, 0.1 s for a GB. It is asked to where its memory is less than so much, and goes on
# being asked while a dump with the list costs no more than pays for enough looks.
_SMALL: Bytes = 512 << 20
_LIST_TAKES: Seconds = 0.006
# The threads of a JVM that make its dumps, by the kernel's names for them.
_DUMPING = ("VM Thread", "Attach Listener")
_NANOSECONDS = 1e9  # per second
_LAST = 9  # looks whose median is what one takes
_UNUSUAL = 2.0  # times that, beyond which it was something else
_LOCKS = "java.util.concurrent.locks."
_CONDITION = "ConditionObject"
# Classes of what others complete, as the JDK and libraries call theirs.
_RESULT = re.compile(r"Future|Promise|Latch|ForkJoinTask")
_WAKES = "VirtualThread-un"  # unparker in JDK 21, unblocker since 24
_AT_WORK = (ThreadState.ON_CPU, ThreadState.RUN_QUEUE)
_PAGE: Bytes = 4096
_RUNNABLE = b"running"  # what that says of a thread that runs, or waits for a CPU


class JvmLooker:
    """Looks at one JVM by its dumps. `cpu` is that of the threads that make them, during most of
    which all others stand still.
    """

    how = "by thread dumps of the JVM"
    rate_hz = 20.0  # what a dump of 60 threads costs, 1 ms beside 2 ms to read it
    enough_hz = 6.0  # what tells a wait seen half of the time to 12 points in ten seconds
    cost_limit = 0.05  # of one core

    def __init__(self, pid: int) -> None:
        """Raises AttachFailed."""
        self.cpu: Seconds = 0.0
        self.seen = self.unmatched = 0
        self._pid, self._socket, self._reader = pid, AttachSocket(pid), DumpReader()
        self._waits = ProcessWaits(pid)
        self._own: dict[int, int] = {}  # a thread's number here: what it calls itself
        self._ran: dict[int, tuple[int, int]] = {}
        self._native: dict[int, bytes] = {}
        self._calls: dict[int, ThreadFile] = {}  # by thread
        self._exclusive: set[str] = set()  # classes of which somebody was seen to have one
        self._makers = [tid for tid in tids(pid) if thread_name(pid, tid) in _DUMPING]
        self._carried = False
        self._lists = _resident(pid) < _SMALL
        self._took: deque[Seconds] = deque(maxlen=_LAST)

    @property
    def unseen(self) -> str:
        """See Looker."""
        if self._carried:
            return (
                "the JVM's dump has no virtual thread that waits: what those wait for was not seen"
            )
        return ""

    def look(self) -> list[ThreadSample]:
        """Every thread with Java code now. Raises AttachFailed when it cannot be told."""
        # Those that were below Java at the last look: the same call is the same wait.
        self._native = {tid: self._syscall(tid) for tid in self._native}
        before = self._dumping()
        said = self._socket.ask("threaddump", *(["-l"] if self._lists else []))
        self._weigh(self._dumping() - before)
        try:
            threads = [each for each in self._reader.read(said) if each.stack]
        except Unreadable as error:
            raise AttachFailed(f"the dump of JVM {self._pid}: {error.message}") from error
        ours = host_tids(self._pid, self._own)
        self._own = {tid: own for own, tid in ours.items()}
        self._forget(self._calls.keys() - self._own.keys())
        self._ran = {tid: ran for tid, ran in self._ran.items() if tid in self._own}
        self.seen += len(threads)
        self.unmatched += sum(each.nid not in ours for each in threads)
        self._exclusive |= {lock.of for each in threads for lock in each.synchronizers}
        self._carried = self._carried or any(map(_is_of_virtual, threads))
        return [self._sample(each, ours[each.nid]) for each in threads if each.nid in ours]

    def close(self) -> None:
        """Let the process go. Idempotent."""
        self._forget(list(self._calls))

    def _dumping(self) -> Seconds:
        """What the threads that make dumps have run so far."""
        ran = (text(self._file(tid, "schedstat")).partition(" ")[0] for tid in self._makers)
        return sum(int(each) for each in ran if each) / _NANOSECONDS

    def _weigh(self, took: Seconds) -> None:
        """Count what a dump took, and ask for the list of locks no longer when that stops the JVM
        for too long. The threads that make dumps collect garbage too: what they took once is not
        the dump's.
        """
        self._took.append(took)
        usual = median(self._took)
        self.cpu += min(took, _UNUSUAL * usual)
        self._lists = self._lists and usual <= _LIST_TAKES

    def _sample(self, thread: JavaThread, tid: int) -> ThreadSample:
        line = self._syscall(tid)
        wait = self._waited(thread)
        if wait is None:
            wait = self._kernels(thread, tid, line)
        elif line.startswith(_RUNNABLE):
            wait = Wait(ThreadState.RUN_QUEUE)  # It was woken, and has not come to run.
        return ThreadSample(
            pid=self._pid,
            tid=tid,
            stack=thread.stack,
            state=wait.state,
            wait_on=wait.on,
            thread_name=thread.name,
            still=wait.state not in _AT_WORK,
            holds=frozenset(
                map(_named, thread.monitors | {lock.address for lock in thread.synchronizers})
            ),
        )

    def _waited(self, thread: JavaThread) -> Wait | None:
        """What a thread waits for by the JVM's word; None where the kernel is to be asked.

        Who waits for a lock that one thread has, waits on it together with others. What any of
        several may give (a permit, an item, a notification) is each waiter's own, as it is where
        the kernel names it.
        """
        lock = thread.waits_for
        match thread.state:
            case JavaState.SLEEPING:
                return Wait(ThreadState.SLEEP)
            case JavaState.BLOCKED:
                return Wait(ThreadState.LOCK, _named(lock.address) if lock else "")
            case JavaState.PARKED if lock is None and thread.timed:
                return Wait(ThreadState.SLEEP)
            case JavaState.PARKED | JavaState.NOTIFIED:
                if lock is None:
                    return Wait(ThreadState.LOCK)
                if _RESULT.search(lock.of):
                    return Wait(ThreadState.AWAIT)  # It may come from elsewhere.
                shared = thread.state is JavaState.PARKED and self._is_exclusive(lock)
                own = "" if shared else f":{thread.nid}"
                return Wait(ThreadState.LOCK, _named(lock.address) + own)
        return None

    def _is_exclusive(self, lock: JavaObject) -> bool:
        """Whether one thread at a time has such a lock: one was seen to, or it is of the JDK's."""
        known = lock.of.startswith(_LOCKS) and not lock.of.endswith(_CONDITION)
        return known or lock.of in self._exclusive

    def _kernels(self, thread: JavaThread, tid: int, line: bytes) -> Wait:
        """What a thread that runs, for all the JVM knows, does by the kernel's word: `line` is the
        call that it is in.
        """
        try:
            on_cpu, queued, _ = map(int, read(self._file(tid, "schedstat")).split())
        except (OSError, ValueError):
            return Wait(ThreadState.UNKNOWN)
        last = self._ran.get(tid)
        self._ran[tid] = on_cpu, queued
        if thread.native:
            wait, was = self._waits.wait(tid, line), self._native.get(tid)
            self._native[tid] = line
            # One that comes back from below Java waits in a futex until the dump is over.
            if wait.state not in (*_AT_WORK, ThreadState.LOCK) or was == line:
                return wait
        elif last == (on_cpu, queued):
            return Wait(ThreadState.OTHER)  # It has slept since the last look, inside the JVM.
        longer = last is not None and queued - last[1] > on_cpu - last[0]
        return Wait(ThreadState.RUN_QUEUE if longer else ThreadState.ON_CPU)

    def _file(self, tid: int, name: str) -> str:
        return f"/proc/{self._pid}/task/{tid}/{name}"

    def _syscall(self, tid: int) -> bytes:
        """The call that a thread is in, with its place on the stack; b"" where nobody may know."""
        try:
            if tid not in self._calls:
                self._calls[tid] = ThreadFile(self._pid, tid, "syscall")
            return self._calls[tid].line()
        except OSError:
            self._forget([tid])
            return b""

    def _forget(self, tids: Iterable[int]) -> None:
        for tid in tids:
            if tid in self._calls:
                self._calls.pop(tid).close()


def _is_of_virtual(thread: JavaThread) -> bool:
    """Whether a thread is there for virtual ones: it carries one, or wakes them."""
    return thread.carries or thread.name.startswith(_WAKES)


def _named(address: str) -> str:
    """The name of an object in the process's own memory, as waits for one have it."""
    return f"futex:{int(address, 16):#x}"


def _resident(pid: int) -> Bytes:
    fields = text(f"/proc/{pid}/statm").split()
    return int(fields[1]) * _PAGE if len(fields) > 1 else _SMALL
