"""What takes the machine from the target and the generator, watched from outside."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterable

from perfhunt.model import redact
from perfhunt.model.run import ProcessIdentity
from perfhunt.model.trial import Interference, Neighbour
from perfhunt.model.units import Cores, Seconds, Share
from perfhunt.target.host.core_speed import core_speed, timed_work
from perfhunt.target.host.host_use import HostUse, HostUsed, host_use, used_between
from perfhunt.target.host.partners import listening_at, partners
from perfhunt.target.host.run_queue import QueueTime, RunQueue
from perfhunt.target.proc.cgroup import cpu_quota, find
from perfhunt.target.proc.tree import descendants
from perfhunt.target.resources.counters import Counters, read_counters
from perfhunt.target.watcher import Watcher

SPEED_EVERY: Seconds = 0.25  # the piece of work takes 0.12 ms: 0.05 % of a core
# Threads that begin and end within are not seen; reading a hundred of them takes two milliseconds.
THREADS_EVERY: Seconds = 1.0
NAMED = 3  # neighbours
# Of a core: those that used less are not asked whether they are partners of the target.
WORTH_ASKING: Cores = 0.01


class InterferenceMonitor:
    """Watches the host around a target, from `start` to `close`; `take` says what happened since
    the last one.

    `root` is the target's first process (0: there is none), `ours` that of perfhunt and the
    generator (itself, unless it is told otherwise). `waited_on` gives the places that threads of
    the target were seen to wait for.
    """

    def __init__(
        self,
        root: int = 0,
        ours: int | None = None,
        waited_on: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._waited_on = waited_on
        self._root, self._ours = root, os.getpid() if ours is None else ours
        self._target_queue, self._own_queue = RunQueue(), RunQueue()
        self._speeds: list[Seconds] = []
        self._best: Seconds = float("inf")
        self._partners: set[tuple[str, int]] = set()  # name and parent: a pool's workers are alike
        self._lock = threading.Lock()
        self._looked = 0.0
        self._watcher = Watcher(
            "perfhunt-interference", "Watching the host", self._look_again, SPEED_EVERY
        )
        self._use: HostUse | None = None
        self._counters = Counters()

    def start(self) -> None:
        """Begin. Idempotent."""
        if not self._watcher.started:
            self._look(count=False)
            self._use, self._counters = host_use(), read_counters(self._root or os.getpid())
            self._looked = time.monotonic()
            self._watcher.start()

    def close(self) -> None:
        """Stop watching. Idempotent."""
        self._watcher.close()

    def take(self) -> Interference:
        """What took the machine since the last call (or since `start`)."""
        self._watcher.check()
        self.start()
        self._look()
        before, counters = self._use, self._counters
        assert before is not None
        self._use, self._counters = host_use(), read_counters(self._root or os.getpid())
        with self._lock:
            target, own = self._target_queue.take(), self._own_queue.take()
            speeds, self._speeds = self._speeds, []
        return self._interference(
            used_between(before, self._use), target, own, speeds, self._counters.since(counters)
        )

    def _look_again(self) -> Seconds:
        took = timed_work()
        with self._lock:
            self._speeds.append(took)
            self._best = min(self._best, took)
        if time.monotonic() - self._looked >= THREADS_EVERY:
            self._looked = time.monotonic()
            self._look()
        return SPEED_EVERY

    def _trees(self) -> tuple[list[int], list[int]]:
        """The target's processes, and ours."""
        target = descendants([self._root]) if self._root else []
        return target, [pid for pid in descendants([self._ours]) if pid not in target]

    def _look(self, count: bool = True) -> None:
        target, own = self._trees()
        with self._lock:
            self._target_queue.look(target, count)
            self._own_queue.look(own, count)

    def _interference(
        self,
        used: HostUsed,
        target: QueueTime | None,
        own: QueueTime | None,
        speeds: list[Seconds],
        grown: Counters,
    ) -> Interference:
        target_pids, own_pids = self._trees()
        strangers = self._strangers(used, target_pids, own_pids)
        others = _others(used, strangers)
        speed = core_speed(speeds, self._best)
        throttled = _share(grown.throttled, grown.periods)
        ran = _rate(target, used, lambda t: t.ran)
        allowed = list(_cores_of(self._root))
        waited = _waited(target, used, others, allowed)
        generator = max(own_pids, key=lambda pid: used.of([pid]), default=0)
        return Interference(
            seconds=used.seconds,
            cores=float(len(used.cores)) or None,
            target_ran=ran,
            target_waited=_within_quota(waited, ran, _quota_of(self._root), throttled),
            target_busy=used.busy(allowed) if used.cores else None,
            generator_ran=_rate(own, used, lambda t: t.ran),
            generator_waited=_waited(own, used, others, _cores_of(generator)),
            others=others,
            busiest=_busiest(used, strangers),
            steal=used.steal(),
            throttled=throttled,
            speed=speed.median if speed else None,
            speed_worst=speed.worst if speed else None,
            readings=len(speeds),
        )

    def _strangers(
        self, used: HostUsed, target: list[int], own: list[int]
    ) -> dict[ProcessIdentity, Cores]:
        """CPU by process of all that are neither the target's, nor ours, nor partners."""
        inside = {*target, *own}
        outside = {p: cpu for p, cpu in used.cpu.items() if p.pid not in inside}
        worth = [p for p, cpu in outside.items() if cpu > WORTH_ASKING]
        pids = [p.pid for p in worth]
        working = partners(target, pids) | listening_at(self._waited_on(), pids)
        for process in worth:
            if process.pid in working:
                use = used.processes[process]
                self._partners.add((use.name, use.parent))
        return {
            p: cpu
            for p, cpu in outside.items()
            if (used.processes[p].name, used.processes[p].parent) not in self._partners
        }


def _others(used: HostUsed, strangers: dict[ProcessIdentity, Cores]) -> Cores | None:
    """What strangers used: all that was, without what is known to be the target's, ours, or a
    partner's, so that processes too short to be seen count too.
    """
    if not used.cores:
        return None
    known = sum(cpu for process, cpu in used.cpu.items() if process not in strangers)
    return max(0.0, used.busy(used.cores) - known)


def _waited(
    queue: QueueTime | None, used: HostUsed, others: Cores | None, cores: Iterable[int]
) -> Cores | None:
    """The part of the waiting that is due to others: in proportion to what they took of all that
    may have run in a waiting thread's place, and no more than they took.

    That is everything on those cores but the thread itself: of N threads that are runnable on
    average, the others are 1 - 1/N of what they all run.
    """
    if queue is None or others is None:
        return None
    cores = list(cores)
    busy, stolen = used.busy(cores), used.stolen(cores)
    took = min(others, busy) + stolen
    if not took:
        return 0.0
    ran, waited = queue.ran / used.seconds, queue.waited / used.seconds
    siblings = ran * max(0.0, 1 - 1 / max(1.0, ran + waited))
    rivals = max(took, busy + stolen - ran + siblings)
    return min(took, waited * took / rivals)


def _within_quota(
    waited: Cores | None, ran: Cores | None, quota: Cores | None, throttled: Share | None
) -> Cores | None:
    """The waiting that others may have caused under a CPU quota: none in the periods in which the
    target was stopped, for in those it had all that it may use; and no more than it left of that.
    """
    if waited is None or ran is None or quota is None:
        return waited
    return min(waited * (1.0 - (throttled or 0.0)), max(0.0, quota - ran))


def _rate(
    queue: QueueTime | None, used: HostUsed, part: Callable[[QueueTime], Seconds]
) -> Cores | None:
    return None if queue is None else part(queue) / used.seconds


def _quota_of(pid: int) -> Cores | None:
    group = find(pid, "cpu") if pid else None
    return cpu_quota(group) if group else None


def _cores_of(pid: int) -> Iterable[int]:
    """The cores that a process may use; all when it is gone."""
    try:
        return os.sched_getaffinity(pid)
    except OSError:
        return range(os.cpu_count() or 1)


def _busiest(used: HostUsed, strangers: dict[ProcessIdentity, Cores]) -> tuple[Neighbour, ...]:
    by_name: dict[str, Cores] = {}
    for process, cpu in strangers.items():
        name = redact.thread(used.processes[process].name)
        by_name[name] = by_name.get(name, 0.0) + cpu
    most = sorted(by_name.items(), key=lambda item: -item[1])[:NAMED]
    return tuple(Neighbour(name, cpu) for name, cpu in most if cpu > WORTH_ASKING)


def _share(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else min(1.0, part / whole)
