"""Every Java thread at one moment: the stack, and what it waits for and has, from the JVM's own
dump, which stops them all; what runs, or is in code below Java, by /proc.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.profile import ThreadSample
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Bytes, PerSecond, Seconds, Share
from perfhunt.profilers.jvm.attach import AttachSocket
from perfhunt.profilers.jvm.dump import DumpReader, JavaObject, JavaState, JavaThread
from perfhunt.profilers.jvm.virtual import VirtualThreads
from perfhunt.target.proc.files import text
from perfhunt.target.proc.threads import (
    WatchedThread,
    WatchedThreads,
    has_own_pids,
    queued_longer,
    thread_name,
    tids,
)
from perfhunt.target.proc.waits import ProcessWaits, Wait

# To list who has which lock of java.util.concurrent, the JVM stops and goes through its whole heap:
# 3 ms for 30 MB, 0.1 s for a GB. It is asked to where its memory is less than so much and threads
# were seen to wait for such a lock, and goes on being asked while a dump with the list costs no
# more than pays for enough looks.
_SMALL: Bytes = 512 << 20
_LIST_TAKES: Seconds = 0.004
# Lists that had no owner of what threads waited for, from which on nobody ever owns such a thing.
_OWNERLESS = 3
# The service may stand still for dumps in so much of the time. It loses half as much again, since
# each stop has to be come to and come back from; the recorder takes half a percent, and all of it
# may take 2 % of the throughput. Where so little pays for too few looks, more is given.
_STANDS_STILL: Share = 0.006
_STANDS_STILL_AT_MOST: Share = 0.015
_SHARES = (_STANDS_STILL, _STANDS_STILL_AT_MOST)
# Of one core, where virtual threads are read: nobody stands still for most of that, and thousands
# of them take 0.1 s of it.
_OF_VIRTUAL: Share = 0.05
# The threads of a JVM that make its dumps, by the kernel's names for them.
_DUMPING = ("VM Thread", "Attach Listener")
_NANOSECONDS = 1e9  # per second
_LEAST: Seconds = 1e-6  # what a dump takes, for a division
_LAST = 9  # looks whose median is what one takes
_ENOUGH = 3  # of them, to tell one that was something else
_UNUSUAL = 2.0  # times that, beyond which it was something else
_LOCKS = "java.util.concurrent.locks."
_CONDITION = "ConditionObject"
# Classes of what others complete, as the JDK and libraries call theirs.
_RESULT = re.compile(r"Future|Promise|Latch|ForkJoinTask")
_WAKES = "VirtualThread-un"  # unparker in JDK 21, unblocker since 24
_AT_WORK = (ThreadState.ON_CPU, ThreadState.RUN_QUEUE)
_UNKNOWN = Wait(ThreadState.UNKNOWN)
_PAGE: Bytes = 4096
_RUNNABLE = b"running"  # what that says of a thread that runs, or waits for a CPU


@dataclass(slots=True)
class _JavaWatched(WatchedThread):
    """What the JVM said of it at the last look, and the kernel of the call that it was in, where
    that is below Java.
    """

    said: JavaThread | None = None
    below: bytes = b""


class JvmLooker:
    """Looks at one JVM by its dumps. `cpu` is that of the threads that make them, during most of
    which all others stand still.
    """

    how = "by thread dumps of the JVM"
    rate_hz: PerSecond = 10.0  # at most, where the service stands still 0.6 ms for a dump
    enough_hz = 2.5  # what tells a wait seen half of the time to 20 points in ten seconds
    cost_limit: Share = 0.04  # of one core, ours and theirs

    def __init__(self, pid: int) -> None:
        """Raises AttachFailed."""
        self.cpu: Seconds = 0.0
        self.seen = self.unmatched = 0
        self._pid, self._socket, self._reader = pid, AttachSocket(pid), DumpReader()
        self._apart = has_own_pids(pid)
        self._waits, self._watched = ProcessWaits(pid), WatchedThreads(pid, _JavaWatched)
        self._exclusive: set[str] = set()  # classes of which somebody was seen to have one
        self._makers = [tid for tid in tids(pid) if thread_name(pid, tid) in _DUMPING]
        self._carried = False  # whether there are virtual threads, and what reads those that wait
        self._virtual: VirtualThreads | None = VirtualThreads(pid, self._socket)
        self._untold = ""
        self._lists = _resident(pid) < _SMALL  # whether it may be asked for owners,
        self._wanted = False  # and whether anybody waits for what one may own
        self._ownerless: Counter[str] = Counter()  # lists without an owner of a class waited for
        # By whether owners were asked for.
        self._took = {listed: deque[Seconds](maxlen=_LAST) for listed in (False, True)}

    @property
    def unseen(self) -> str:
        """See Looker."""
        if self._carried and self._virtual is None:
            return f"what virtual threads wait for was not seen: {self._untold}"
        return ""

    def look(self) -> list[ThreadSample]:
        """Every thread with Java code now. Raises AttachFailed when it cannot be told."""
        # Those that were below Java at the last look: the same call is the same wait.
        for thread in self._watched:
            if thread.below:
                thread.below = thread.call()
        before = self._dumping()
        listed = self._lists and self._wanted
        said = self._socket.ask("threaddump", *(["-l"] if listed else []))
        self._weigh(self._dumping() - before, listed)
        try:
            threads = [each for each in self._reader.read(said) if each.stack]
        except Unreadable as error:
            raise AttachFailed(f"the dump of JVM {self._pid}: {error.message}") from error
        living = self._watched.living()
        self.seen += len(threads)
        # Of a thread that ended since, the JVM's word is known; another's numbers are not ours.
        known = [each for each in threads if each.nid in living or not self._apart]
        self.unmatched += len(threads) - len(known)
        self._note_owners(threads, listed)
        self._carried = self._carried or any(map(_is_of_virtual, threads))
        mounted = [self._sample(each, living.get(each.nid)) for each in known]
        return mounted + (self._unmounted() if self._carried else [])

    def _unmounted(self) -> list[ThreadSample]:
        """The virtual threads that wait, which no thread of the system's carries."""
        if self._virtual is None:
            return []
        self.cost_limit = _OF_VIRTUAL
        before = self._dumping()
        try:
            threads = self._virtual.waiting()
            if threads is None:
                self._untold, self._virtual = "JVMs before JDK 25 do not tell", None
        except (AttachFailed, Unreadable) as error:
            threads, self._untold, self._virtual = None, error.message.rstrip("."), None
        self.cpu += self._dumping() - before  # Nobody stands still meanwhile.
        return [self._waiting(each) for each in threads or ()]

    def _waiting(self, thread: JavaThread) -> ThreadSample:
        known = self._waited(thread) or _UNKNOWN
        wait = Wait(ThreadState.SOCKET) if thread.native else known
        return ThreadSample(
            pid=self._pid,
            tid=0,
            stack=thread.stack,
            state=wait.state,
            wait_on=wait.on,
            thread_name=thread.name or "virtual",
            still=True,
            task=True,
            holds=frozenset(map(_named, thread.monitors)),
        )

    def close(self) -> None:
        """Let the process go. Idempotent."""
        self._watched.close()

    def _note_owners(self, threads: Iterable[JavaThread], listed: bool) -> None:
        """Learn from a dump what is owned by one thread, and whether the next one should say by
        whom.
        """
        owned = {lock.of for each in threads for lock in each.synchronizers}
        if not owned <= self._exclusive:
            self._exclusive |= owned
            for watched in self._watched:
                watched.sample = None  # What it waited for is named by what is exclusive.
        wanted = {
            each.waits_for
            for each in threads
            if each.state is JavaState.PARKED and each.waits_for is not None
        }
        if listed:
            self._ownerless.update({lock.of for lock in wanted} - owned)
        self._wanted = any(self._is_exclusive(lock) or self._may_be(lock.of) for lock in wanted)

    def _may_be(self, of: str) -> bool:
        """Whether a thread may own what is of such a class, for all that lists said so far."""
        nobody = of.endswith(_CONDITION) or _RESULT.search(of)
        return not nobody and self._ownerless[of] < _OWNERLESS

    def _dumping(self) -> Seconds:
        """What the threads that make dumps have run so far."""
        files = (f"/proc/{self._pid}/task/{tid}/schedstat" for tid in self._makers)
        ran = (text(file).partition(" ")[0] for file in files)
        return sum(int(each) for each in ran if each) / _NANOSECONDS

    def _weigh(self, took: Seconds, listed: bool) -> None:
        """Count what a dump took, look as often as that allows, and ask for the list of locks no
        longer when it stops the JVM for too long. The threads that make dumps collect garbage too:
        what they took once is not the dump's.
        """
        times = self._took[listed]
        times.append(took)
        usual = median(times)
        self.cpu += min(took, _UNUSUAL * usual)
        if listed and len(times) >= _ENOUGH:
            self._lists = usual <= _LIST_TAKES
        spared, most = (share / max(usual, _LEAST) for share in _SHARES)
        self.rate_hz = min(JvmLooker.rate_hz, max(spared, min(most, self.enough_hz)))

    def _sample(self, thread: JavaThread, watched: _JavaWatched | None) -> ThreadSample:
        """What a thread does; `watched` is the kernel's of it, None once it has ended."""
        if watched is None:
            return self._sampled(thread, thread.nid, self._waited(thread) or _UNKNOWN)
        ran = self._watched.ran(watched)
        if watched.said is thread and (stood := watched.stood(ran)):
            return stood
        line, wait = watched.call(), self._waited(thread)
        if wait is None:
            wait = self._kernels(thread, watched, ran, line)
        elif line.startswith(_RUNNABLE):
            wait = Wait(ThreadState.RUN_QUEUE)  # It was woken, and has not come to run.
        watched.below = line if thread.native else b""
        watched.ran, watched.said = ran, thread
        watched.sample = self._sampled(thread, watched.tid, wait)
        return watched.sample

    def _sampled(self, thread: JavaThread, tid: int, wait: Wait) -> ThreadSample:
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

    def _kernels(self, thread: JavaThread, watched: _JavaWatched, ran: bytes, line: bytes) -> Wait:
        """What a thread that runs, for all the JVM knows, does by the kernel's word: how long it
        has run, and the call that it is in.
        """
        if not ran:
            return _UNKNOWN
        if thread.native:
            wait = self._waits.wait(watched.tid, line)
            # One that comes back from below Java waits in a futex until the dump is over.
            if wait.state not in (*_AT_WORK, ThreadState.LOCK) or watched.below == line:
                return wait
        elif watched.ran == ran:
            return Wait(ThreadState.OTHER)  # It has slept since the last look, inside the JVM.
        queued = queued_longer(watched.ran, ran)
        return Wait(ThreadState.RUN_QUEUE if queued else ThreadState.ON_CPU)


def _is_of_virtual(thread: JavaThread) -> bool:
    """Whether a thread is there for virtual ones: it carries one, or wakes them."""
    return thread.carries or thread.name.startswith(_WAKES)


def _named(address: str) -> str:
    """The name of an object in the process's own memory, as waits for one have it."""
    return f"futex:{int(address, 16):#x}"


def _resident(pid: int) -> Bytes:
    fields = text(f"/proc/{pid}/statm").split()
    return int(fields[1]) * _PAGE if len(fields) > 1 else _SMALL
