"""What the target's process tree uses during each trial, and whether it is still alive."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from perfhunt.errors import PerfhuntError
from perfhunt.model.run import TargetProcess
from perfhunt.model.trial import Resources
from perfhunt.model.units import Seconds
from perfhunt.target.proc import proc
from perfhunt.target.proc.sockets import ESTABLISHED, LISTEN, SYN_SENT, tcp_sockets
from perfhunt.target.resources_counters import Counters, memory_used, read_counters
from perfhunt.target.sockets import held_inodes

_PERIOD: Seconds = 0.2
_SOCKETS_EVERY: Seconds = 0.5
_COST_LIMIT = 0.03  # of one core


@dataclass(frozen=True, slots=True)
class Usage:
    """The whole tree at one moment. `cpu` is seconds since its processes began, ended threads and
    children included.
    """

    at: Seconds
    cpu: Seconds
    rss: int
    fds: int | None
    threads: int
    processes: int
    switches: Mapping[int, tuple[int, int]]  # tid -> voluntary, involuntary


@dataclass
class _Seen:
    """What the watcher gathered since the last `take`."""

    rss: list[tuple[Seconds, int]] = field(default_factory=list)
    accept_queue: int | None = None
    connections: Counter[str] = field(default_factory=Counter)


class ResourceMonitor:
    """Watches a target from outside, five times a second, from `start` to `close`.

    `take()` gives what was used since the last one. `dead()` costs a few file reads and may be
    asked often.
    """

    def __init__(self, target: TargetProcess) -> None:
        self._target = target
        self._ports = frozenset(listener.port for listener in target.listeners)
        self._born = _identities(target)
        self._seen = _Seen()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None
        self._failure: Exception | None = None
        self._usage: Usage | None = None
        self._counters = Counters()
        self._sockets_at = float("-inf")

    def start(self) -> None:
        """Begin. Idempotent."""
        if self._watcher is None:
            self._usage, self._counters = self._use(), read_counters(self._lead())
            self._watcher = threading.Thread(
                target=self._run, name="perfhunt-resources", daemon=True
            )
            self._watcher.start()

    def close(self) -> None:
        """Stop watching. Idempotent."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None

    def take(self) -> Resources:
        """What the tree and its host used since the last call (or since `start`)."""
        if self._failure is not None:
            raise PerfhuntError(
                f"Reading the target's resources failed: {self._failure}"
            ) from self._failure
        if self._usage is None:
            self.start()
        with self._lock:
            seen, self._seen = self._seen, _Seen()
        before, counters = self._usage, self._counters
        assert before is not None
        self._usage, self._counters = self._use(), read_counters(self._lead())
        return self._resources(before, self._usage, self._counters.since(counters), seen)

    def dead(self) -> str:
        """Why the target cannot be measured any more, as a sentence; "" while it lives."""
        root = self._target.root
        now = proc.stat(root)
        if now is None:
            return f"The target (pid {root}) is gone"
        if now.state in "ZX":
            return f"The target (pid {root}) has ended and is a zombie"
        if self._born.get(root, now.started) != now.started:
            return f"The target (pid {root}) is gone; another process has its number now"
        workers = self._target.workers
        if (
            root not in workers
            and not any(self._same(pid) for pid in workers)
            and not proc.children(root)
        ):
            return f"All workers of the target (pid {root}) are gone"
        return ""

    def _same(self, pid: int) -> bool:
        now = proc.stat(pid)
        return (
            now is not None
            and now.state not in "ZX"
            and self._born.get(pid, now.started) == now.started
        )

    def _lead(self) -> int:
        return next((pid for pid in self._target.workers if self._same(pid)), self._target.root)

    def _run(self) -> None:
        try:
            period = _PERIOD
            while not self._stop.wait(period):
                began = time.thread_time()
                self._look()
                period = min(2.0, max(_PERIOD, (time.thread_time() - began) / _COST_LIMIT))
        except (OSError, ValueError) as error:
            self._failure = error

    def _look(self) -> None:
        now = time.monotonic()
        pids = proc.descendants([self._target.root])
        rss = sum(one.rss for pid in pids if (one := proc.stat(pid)) is not None)
        queue, connections = None, Counter[str]()
        if now - self._sockets_at >= _SOCKETS_EVERY:
            self._sockets_at = now
            queue, connections = self._sockets(pids)
        with self._lock:
            if rss:
                self._seen.rss.append((now, rss))
            if queue is not None:
                self._seen.accept_queue = max(queue, self._seen.accept_queue or 0)
            self._seen.connections |= connections  # the larger of the two, per endpoint

    def _sockets(self, pids: list[int]) -> tuple[int | None, Counter[str]]:
        """The longest accept queue, and connections to each remote endpoint, the target's clients
        left out.
        """
        sockets = tcp_sockets(self._lead())
        listening = {one.local_port for one in sockets if one.state == LISTEN}
        queues = [
            one.receive_queue
            for one in sockets
            if one.state == LISTEN and one.local_port in self._ports
        ]
        outward = [
            one
            for one in sockets
            if one.state in (ESTABLISHED, SYN_SENT) and one.local_port not in listening
        ]
        held: set[int] = set()
        if outward:
            for pid in pids:
                with suppress(PermissionError):
                    held |= held_inodes(pid)
        return max(queues, default=None), Counter(
            one.endpoint for one in outward if one.inode in held
        )

    def _use(self) -> Usage:
        cpu, rss, threads, processes = 0.0, 0, 0, 0
        fds: int | None = 0
        switches: dict[int, tuple[int, int]] = {}
        for pid in proc.descendants([self._target.root]):
            one = proc.stat(pid)
            if one is None:
                continue
            # A child that was waited for moves its time to its parent, so the sum over the tree is
            # kept.
            cpu += one.cpu + one.children_cpu
            rss, threads, processes = rss + one.rss, threads + one.threads, processes + 1
            switches.update(proc.switches_by_thread(pid))
            try:
                fds = None if fds is None else fds + len(os.listdir(f"/proc/{pid}/fd"))
            except PermissionError:
                fds = None
            except OSError:
                continue
        return Usage(time.monotonic(), cpu, rss, fds, threads, processes, switches)

    def _resources(self, before: Usage, after: Usage, grown: Counters, seen: _Seen) -> Resources:
        target, seconds = self._target, max(after.at - before.at, 1e-9)
        if not after.processes:
            return Resources(
                seconds,
                cpu_limit=target.cpu_limit,
                memory_limit=target.memory_limit,
                oom_kills=grown.oom_kills,
            )
        cpu_seconds = max(0.0, after.cpu - before.cpu)
        limit, memory = target.cpu_limit, target.memory_limit
        voluntary, involuntary = _switched(before.switches, after.switches)
        limited = "cgroup" in target.memory_limit_source
        used = memory_used(self._lead(), after.rss, limited)
        return Resources(
            seconds=seconds,
            cpu=cpu_seconds / seconds,
            cpu_seconds=cpu_seconds,
            cpu_share=cpu_seconds / seconds / limit if limit else None,
            cpu_limit=limit,
            cpu_limit_source=target.cpu_limit_source,
            throttled=_share(grown.throttled, grown.periods),
            rss=after.rss,
            rss_peak=max([rss for _, rss in seen.rss] + [before.rss, after.rss]),
            rss_slope=slope([(before.at, before.rss), *seen.rss, (after.at, after.rss)]),
            memory_share=used / memory if memory else None,
            memory_limit=memory,
            memory_limit_source=target.memory_limit_source,
            fds=after.fds,
            threads=after.threads,
            processes=after.processes,
            switches_voluntary=voluntary / seconds,
            switches_involuntary=involuntary / seconds,
            oom_kills=grown.oom_kills,
            host_cpu_share=_share(grown.host_busy, grown.host_all),
            psi_cpu=_share(grown.psi_cpu, seconds * 1e6),
            psi_io=_share(grown.psi_io, seconds * 1e6),
            psi_memory=_share(grown.psi_memory, seconds * 1e6),
            accept_queue=seen.accept_queue,
            accept_backlog=max(
                (one.backlog for one in target.listeners if one.backlog is not None), default=None
            ),
            listen_overflows=grown.listen_overflows,
            connections=dict(seen.connections),
        )


def _identities(target: TargetProcess) -> dict[int, int]:
    """Start times of the processes as the target was found, in ticks since boot."""
    return {
        one.pid: round(one.started * proc.CLOCK_TICKS) for one in target.processes if one.started
    }


def _share(part: int | None, whole: float | None) -> float | None:
    return None if part is None or not whole else min(1.0, part / whole)


def _switched(
    before: Mapping[int, tuple[int, int]], after: Mapping[int, tuple[int, int]]
) -> tuple[int, int]:
    """Context switches of the threads alive at the end; those of threads that ended in between are
    not to be had.
    """
    voluntary = involuntary = 0
    for tid, (now_voluntary, now_involuntary) in after.items():
        was_voluntary, was_involuntary = before.get(tid, (0, 0))
        voluntary += max(0, now_voluntary - was_voluntary)
        involuntary += max(0, now_involuntary - was_involuntary)
    return voluntary, involuntary


def slope(points: list[tuple[Seconds, int]]) -> float | None:
    """Bytes per second by least squares; None for fewer than five points or less than a second."""
    if len(points) < 5 or points[-1][0] - points[0][0] < 1.0:
        return None
    mean_at = sum(at for at, _ in points) / len(points)
    mean = sum(value for _, value in points) / len(points)
    spread = sum((at - mean_at) ** 2 for at, _ in points)
    return sum((at - mean_at) * (value - mean) for at, value in points) / spread
