"""Thread states over spans of time, sampled from /proc without touching the target.

Time on a CPU and in the run queue is exact (schedstat, nanoseconds); the rest of a thread's life is
split by what it was seen waiting for. At 50 looks a second the cost was 1 to 3 % of a core for a
dozen threads; it is measured and kept.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from perfhunt.errors import PerfhuntError
from perfhunt.model.states import States, ThreadState, ThreadTime
from perfhunt.model.units import Seconds, Share
from perfhunt.target.proc.process import stat
from perfhunt.target.proc.threads import ThreadFile, thread_name, tids
from perfhunt.target.proc.tree import working_pids
from perfhunt.target.proc.waits import RUNNING, ProcessWaits, Wait
from perfhunt.target.watcher import STATES_OF_HOST, affordable_period

_SMOOTHING = 0.1  # the weight of the last look in the period, so that one slow look changes little
_TREE_EVERY: Seconds = 1.0  # between looks for replaced workers
# Between readings of schedstat: a thread that ends loses no more. With many threads it takes as
# long as keeps them to a quarter of what looks may cost, a second at most.
_TIMES_EVERY, _TIMES_AT_LEAST_EVERY = 0.1, 1.0
_OF_TIMES: Share = 0.25
_LIVED = 0.5  # of a span; a thread that was there for less is one of the short-lived
_NANOSECONDS = 1e9  # per second


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a sampler looks, in looks a second, and what of one core that may cost: beyond it
    the sampler looks less often. More than `enough` it looks only where this host has the cores.
    """

    rate: float = 50.0  # from Python, faster costs more than it shows
    enough: float = 8.0  # tells what was waited for half of the time to 10 points in ten seconds
    slowest: float = 5.0  # a hold of half a minute still has 150 looks
    cost: float = 0.04


@dataclass
class _Thread:
    """One thread under observation."""

    pid: int
    tid: int
    name: str
    syscall: ThreadFile | None  # None where the kernel does not say
    schedstat: ThreadFile | None
    since: Seconds
    last: Seconds
    times: tuple[int, int] = (0, 0)  # ns on a CPU, ns in the run queue, at the last reading
    start: tuple[int, int] = (0, 0)  # the same at the start of the span
    _waits: Counter[Wait] = field(default_factory=Counter)
    _last: Wait = RUNNING  # at so many looks in a row, which are not among the others yet
    _row: int = 0

    def saw(self, wait: Wait) -> None:
        """Count what it waited for at a look."""
        if wait is not self._last:  # A count is dear where 200 threads are looked at.
            self.waits()
            self._last = wait
        self._row += 1

    def waits(self) -> Counter[Wait]:
        """At how many looks it waited for what, since it was met or `begin`."""
        if self._row:
            self._waits[self._last] += self._row
            self._row = 0
        return self._waits

    def begin(self, now: Seconds) -> None:
        """Count from here."""
        self.since, self.start = now, self.times
        self.waits().clear()

    def close(self) -> None:
        for file in filter(None, (self.syscall, self.schedstat)):
            file.close()


class StateSampler:
    """Watches every thread of the target in a thread of the controller.

        with StateSampler(target.workers, clock, root=target.root) as sampler:
            sampler.mark()
            ...
            states = sampler.take("knee")

    `mark()` starts a span, `take(phase)` ends it and starts the next. `clock` gives seconds.
    """

    def __init__(
        self,
        pids: Sequence[int],
        clock: Callable[[], Seconds] = time.monotonic,
        *,
        root: int = 0,
        pace: Pace = Pace(),
    ) -> None:
        self._pace = pace
        self._pids = tuple(pids)
        self._root = root
        self._clock = clock
        self._threads: dict[tuple[int, int], _Thread] = {}
        self._ended: list[_Thread] = []
        self._waits: dict[int, ProcessWaits] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._worker: threading.Thread | None = None
        self._source = "syscall"
        self._notes: dict[str, None] = {}
        self._ticks = 0
        self._cost = 0.0
        self._tree_at = self._times_at = float("-inf")
        self._times_every = _TIMES_EVERY
        self._tree: list[int] = []
        self._span_start: Seconds = 0.0
        self._failure: Exception | None = None

    def __enter__(self) -> StateSampler:
        with self._lock:
            self._look(first=True)
        self.mark()
        self._worker = threading.Thread(target=self._run, name="perfhunt-states", daemon=True)
        self._worker.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop looking. Idempotent."""
        self._stop.set()
        if self._worker is not None:
            self._worker.join()
            self._worker = None
        for thread in [*self._threads.values(), *self._ended]:
            thread.close()
        self._threads.clear()
        self._ended.clear()

    def mark(self) -> None:
        """Start a new span here; what was seen since the last one is dropped."""
        with self._lock:
            self._begin()

    def take(self, phase: str) -> States:
        """The states since the last `mark` or `take`; the next span starts here.

        Raises PerfhuntError when /proc said something that could not be understood.
        """
        if self._failure is not None:
            raise PerfhuntError(
                f"Reading thread states from /proc failed: {self._failure}"
            ) from self._failure
        with self._lock:
            self._read_times(self._clock())
            states = self._states(phase)
            self._begin()
            return states

    def waited_on(self) -> frozenset[str]:
        """Where the sockets lead that threads were seen to wait on, in this span."""
        with self._lock:
            seen = [*self._threads.values(), *self._ended]
            waits = (wait for thread in seen for wait in thread.waits())
            return frozenset(wait.on for wait in waits if wait.state is ThreadState.SOCKET)

    def _begin(self) -> None:
        now = self._clock()
        for thread in self._ended:
            thread.close()
        self._ended.clear()
        self._read_times(now)
        for thread in self._threads.values():
            thread.begin(now)
        self._span_start, self._ticks, self._cost = now, 0, 0.0

    def _run(self) -> None:
        try:
            self._watch()
        except (OSError, ValueError) as error:
            self._failure = error

    def _watch(self) -> None:
        pace = self._pace
        period = fastest = 1.0 / pace.rate
        enough, slowest = 1.0 / pace.enough, 1.0 / pace.slowest
        while not self._stop.wait(period):
            began = time.thread_time()
            with self._lock:
                self._look()
                spent = time.thread_time() - began
                self._cost += spent
            affordable = affordable_period(spent, STATES_OF_HOST, enough=enough, most=pace.cost)
            smooth = (1 - _SMOOTHING) * period + _SMOOTHING * max(fastest, affordable)
            period = min(slowest, smooth)

    def _look(self, first: bool = False) -> None:
        now = self._clock()
        if now - self._tree_at >= _TREE_EVERY:
            self._tree_at, self._tree = now, working_pids(self._pids, self._root)
            for pid in self._waits.keys() - set(self._tree):
                del self._waits[pid]
        for pid in self._tree:
            waits = self._waits.setdefault(pid, ProcessWaits(pid))
            for tid in tids(pid):
                thread = self._threads.get((pid, tid)) or self._meet(pid, tid, now, first)
                if thread.syscall is not None:
                    self._look_at(thread, thread.syscall, waits, now)
        if now - self._times_at >= self._times_every:
            began = time.thread_time()
            self._read_times(now)
            spent = (time.thread_time() - began) / _OF_TIMES
            every = affordable_period(spent, STATES_OF_HOST, enough=_TIMES_AT_LEAST_EVERY)
            self._times_every = max(_TIMES_EVERY, every)
        self._ticks += 1

    def _look_at(
        self, thread: _Thread, syscall: ThreadFile, waits: ProcessWaits, now: Seconds
    ) -> None:
        try:
            line = syscall.line()
        except PermissionError:
            self._degrade(_unreadable(thread.pid))
            return
        except OSError:
            self._lose(thread)
            # Its number may already belong to a new thread, which is met at once.
            if (thread.pid, thread.tid) not in self._threads and thread.tid in tids(thread.pid):
                self._meet(thread.pid, thread.tid, now, first=False)
            return
        thread.last = now
        thread.saw(waits.wait(thread.tid, line))

    def _meet(self, pid: int, tid: int, now: Seconds, first: bool) -> _Thread:
        thread = _Thread(
            pid=pid,
            tid=tid,
            name=thread_name(pid, tid),
            syscall=None,
            schedstat=None,
            since=now,
            last=now,
        )
        try:
            thread.schedstat = ThreadFile(pid, tid, "schedstat")
            if self._source == "syscall":
                thread.syscall = ThreadFile(pid, tid, "syscall")
        except PermissionError:
            self._degrade(_unreadable(pid))
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._notes[
                    "too many threads to watch them all: raise the limit on open files (ulimit -n)"
                ] = None
            elif os.path.isdir(f"/proc/{pid}/task/{tid}"):
                self._degrade("this kernel does not say what threads wait for; CPU time only")
        self._threads[pid, tid] = thread
        self._read_time(thread, now)
        if first:
            thread.start = thread.times
        return thread

    def _degrade(self, note: str) -> None:
        self._source = "schedstat"
        self._notes[note] = None
        for thread in self._threads.values():
            if thread.syscall is not None:
                thread.syscall.close()
                thread.syscall = None

    def _read_times(self, now: Seconds) -> None:
        self._times_at = now
        for thread in list(self._threads.values()):
            self._read_time(thread, now)

    def _read_time(self, thread: _Thread, now: Seconds) -> None:
        try:
            if thread.schedstat is None:
                now_stat = stat(thread.pid, thread.tid)
                if now_stat is None:
                    self._lose(thread)
                    return
                thread.times = (round(now_stat.cpu * _NANOSECONDS), 0)
            else:
                on_cpu, queued, _ = thread.schedstat.line().split()
                thread.times = (int(on_cpu), int(queued))
            thread.last = now
        except OSError:
            self._lose(thread)

    def _lose(self, thread: _Thread) -> None:
        if self._threads.get((thread.pid, thread.tid)) is thread:
            del self._threads[thread.pid, thread.tid]
            thread.close()
            self._ended.append(thread)

    def _states(self, phase: str) -> States:
        seconds = max(self._clock() - self._span_start, 1e-9)
        lived: list[ThreadTime] = []
        brief: dict[int, list[_Thread]] = {}
        for thread in [*self._threads.values(), *self._ended]:
            if thread.last - thread.since >= _LIVED * seconds:
                lived.append(_thread_time(thread, seconds))
            else:
                brief.setdefault(thread.pid, []).append(thread)
        lived += [_together(pid, threads, seconds) for pid, threads in brief.items()]
        return States(
            phase=phase,
            seconds=seconds,
            threads=tuple(lived),
            ticks=self._ticks,
            source=self._source,
            cost=self._cost / seconds,
            notes=tuple(self._notes),
        )


def _thread_time(thread: _Thread, seconds: Seconds) -> ThreadTime:
    """How a thread spent its part of a span, as shares of the whole span."""
    life = min(1.0, max(0.0, thread.last - thread.since) / seconds)
    # The thread that executes another program takes over the number of the first (execve(2)), but
    # not its times.
    ran, waited = (max(0, now - then) for now, then in zip(thread.times, thread.start, strict=True))
    on_cpu, queued = ran / _NANOSECONDS / seconds, waited / _NANOSECONDS / seconds
    rest = max(0.0, life - on_cpu - queued)
    states = {str(ThreadState.ON_CPU): on_cpu, str(ThreadState.RUN_QUEUE): queued}
    endpoints: dict[str, float] = {}
    waits = Counter({wait: n for wait, n in thread.waits().items() if wait != RUNNING})
    total = waits.total()
    if rest and not total:
        # It was never seen waiting: it ran each time somebody looked, or nobody could look.
        states[str(ThreadState.UNKNOWN)] = rest
    for wait, n in waits.items():
        share = rest * n / total
        states[str(wait.state)] = states.get(str(wait.state), 0.0) + share
        if wait.state is ThreadState.SOCKET:
            endpoints[wait.on] = endpoints.get(wait.on, 0.0) + share
    return ThreadTime(
        pid=thread.pid, tid=thread.tid, name=thread.name, states=states, endpoints=endpoints
    )


def _together(pid: int, threads: list[_Thread], seconds: Seconds) -> ThreadTime:
    """The short-lived threads of one process as one row (tid 0): shares of the span, so they may
    sum to more than 1.
    """
    states: Counter[str] = Counter()
    endpoints: Counter[str] = Counter()
    for thread in threads:
        time_of = _thread_time(thread, seconds)
        states.update(time_of.states)
        endpoints.update(time_of.endpoints)
    return ThreadTime(
        pid=pid,
        tid=0,
        name=f"{len(threads)} short-lived threads",
        states=dict(states),
        endpoints=dict(endpoints),
    )


def _unreadable(pid: int) -> str:
    return f"what threads of pid {pid} wait for may not be read; on-CPU and run-queue time only"
