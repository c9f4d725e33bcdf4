"""What the target's process tree uses during each trial, and whether it is still alive."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import fmean, linear_regression

from perfhunt.model.interval import sampling_error
from perfhunt.model.run import TargetProcess
from perfhunt.model.text.socket_url import PREFIX
from perfhunt.model.trial import Resources
from perfhunt.model.units import Bytes, Seconds
from perfhunt.target.proc.process import cpu_used, files_limit, stat
from perfhunt.target.proc.sock_diag import accept_queues, unix_queues
from perfhunt.target.proc.sockets import (
    ESTABLISHED,
    LISTEN,
    SYN_SENT,
    held_inodes,
    tcp_sockets,
    unix_listening,
    unix_opened,
    unix_paths,
)
from perfhunt.target.proc.threads import switches_by_thread
from perfhunt.target.proc.tree import descendants
from perfhunt.target.resources.counters import Counters, memory_used, read_counters
from perfhunt.target.resources.life import TargetLife
from perfhunt.target.resources.port_watch import PortWatch
from perfhunt.target.resources.unread import UnreadWatch
from perfhunt.target.watcher import RESOURCES_OF_HOST, Watcher, affordable_period

_PERIOD: Seconds = 0.2  # memory that is taken and given back within less is not seen
_SLOWEST: Seconds = 2.0  # a trial of a few seconds still has some readings
_SOCKETS_EVERY: Seconds = 0.5  # the table of all sockets is the dearest thing to read
_TREE_EVERY: Seconds = 1.0  # between looks for other processes, which ask each thread for its own
_SLOPE_POINTS, _SLOPE_SPAN = 5, 1.0  # fewer readings, or seconds, are noise and no slope
_MICROSECONDS = 1e6  # per second


@dataclass(frozen=True, slots=True)
class TreeUsage:
    """The whole tree at one moment. `cpu` is seconds since its processes began, ended threads and
    children included.
    """

    at: Seconds
    cpu: Seconds
    rss: Bytes
    fds: int | None
    threads: int
    processes: int
    switches: Mapping[int, tuple[int, int]]  # tid -> voluntary, involuntary


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """How many files a process has open, and how many it may (RLIMIT_NOFILE)."""

    count: int
    limit: int

    @property
    def share(self) -> float:
        """Of what it may."""
        return self.count / self.limit


@dataclass
class _Watched:
    """What the watcher gathered since the last `take`."""

    rss: list[tuple[Seconds, Bytes]] = field(default_factory=list)
    accept_queue: int | None = None
    files: OpenFiles | None = None
    connections: Counter[str] = field(default_factory=Counter)


class ResourceMonitor:
    """Watches a target from outside, five times a second, from `start` to `close`.

    `take()` gives what was used since the last one. `dead()` costs a few file reads and may be
    asked often.
    """

    def __init__(self, target: TargetProcess) -> None:
        self._target = target
        self._ports = frozenset(at.port for at in target.listeners if at.port)
        self._unix = _unix_inodes(target)
        self._processes = {
            process.pid: process.identity for process in target.processes if process.started
        }
        self._watched = _Watched()
        self._lock = threading.Lock()
        self._watcher = Watcher(
            "perfhunt-resources", "Reading the target's resources", self._look_again, _PERIOD
        )
        # Where its own connections were ever seen to lead: `host:port`, `unix:/path`.
        self.led_to: frozenset[str] = frozenset()
        self.unread: tuple[tuple[Seconds, int], ...] = ()  # of the last `take`: when, how many
        self._usage: TreeUsage | None = None
        self._counters = Counters()
        self._sockets_at = self._tree_at = float("-inf")
        self._tree: list[int] = []
        self._port = PortWatch(target)
        self._life = TargetLife(target, waiting=self._waiting)
        self._unread = UnreadWatch(target)

    def start(self) -> None:
        """Begin. Idempotent."""
        if not self._watcher.started:
            self._usage, self._counters = self._read_tree(), read_counters(self._lead())
            self._port.look(tcp_sockets(self._lead(), LISTEN))
            self._watcher.start()
            self._unread.start()

    def close(self) -> None:
        """Stop watching. Idempotent."""
        self._watcher.close()
        self._unread.close()

    def take(self) -> Resources:
        """What the tree and its host used since the last call (or since `start`)."""
        self._watcher.check()
        if self._usage is None:
            self.start()
        with self._lock:
            watched, self._watched = self._watched, _Watched()
        self.unread = self._unread.take()
        before, counters = self._usage, self._counters
        assert before is not None
        self._usage, self._counters = self._read_tree(), read_counters(self._lead())
        return self._resources(before, self._usage, self._counters.since(counters), watched)

    def dead(self) -> str:
        """Why the target cannot be measured any more, as a sentence; "" while it lives."""
        return self._life.ended() or self._port.taken

    def _same(self, pid: int) -> bool:
        now = stat(pid)
        if now is None or now.ended:
            return False
        return self._processes.get(pid, now.identity) == now.identity

    def _lead(self) -> int:
        return next((pid for pid in self._target.workers if self._same(pid)), self._target.root)

    def _look_again(self) -> Seconds:
        began = time.thread_time()
        self._look()
        spent = time.thread_time() - began
        return max(_PERIOD, affordable_period(spent, RESOURCES_OF_HOST, enough=_SLOWEST))

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._tree_at >= _TREE_EVERY:
            self._tree_at, self._tree = now, descendants([self._target.root])
        pids = self._tree
        rss = sum(process.rss for pid in pids if (process := stat(pid)) is not None)
        queue, connections, files = None, Counter[str](), None
        if now - self._sockets_at >= _SOCKETS_EVERY:
            self._sockets_at = now
            queue, connections = self._sockets(pids)
            files = nearest_to_limit(pids)
        queue = max((n for n in (queue, self._waiting()) if n is not None), default=None)
        with self._lock:
            if rss:
                self._watched.rss.append((now, rss))
            if queue is not None:
                self._watched.accept_queue = max(queue, self._watched.accept_queue or 0)
            nearest = [each for each in (files, self._watched.files) if each is not None]
            self._watched.files = max(nearest, key=lambda each: each.share, default=None)
            self._watched.connections |= connections  # The larger of the two, per endpoint.

    def _waiting(self) -> int | None:
        """The longest accept queue now, as the kernel says of the sockets that listen, which costs
        little: so one that is full for a moment is seen more often. None where the target has a
        network of its own.
        """
        queues = accept_queues().values() if self._unread.reachable else ()
        waiting = [queue.waiting for queue in queues if queue.port in self._ports]
        if self._unix:
            waiting += [q.waiting for inode, q in unix_queues().items() if inode in self._unix]
        return max(waiting, default=None)

    def _sockets(self, pids: list[int]) -> tuple[int | None, Counter[str]]:
        """The longest accept queue, and connections to each remote endpoint, the target's clients
        left out.
        """
        sockets = tcp_sockets(self._lead(), LISTEN, ESTABLISHED, SYN_SENT)
        self._port.look(sockets)
        listening = [socket for socket in sockets if socket.state == LISTEN]
        queues = [socket.receive_queue for socket in listening if socket.local_port in self._ports]
        inward = {socket.local_port for socket in listening}
        outward = [
            socket
            for socket in sockets
            if socket.state != LISTEN and socket.local_port not in inward
        ]
        held: set[int] = set()
        for pid in pids:
            with suppress(PermissionError):
                held |= held_inodes(pid)
        connections = Counter(socket.endpoint for socket in outward if socket.inode in held)
        over_unix = (f"{PREFIX}{path}" for path, _ in unix_opened(held, unix_paths(self._lead())))
        self.led_to |= {*connections, *over_unix}
        return max(queues, default=None), connections

    def _read_tree(self) -> TreeUsage:
        cpu, rss, threads, processes = 0.0, 0, 0, 0
        fds: int | None = 0
        switches: dict[int, tuple[int, int]] = {}
        for pid in descendants([self._target.root]):
            process = stat(pid)
            if process is None:
                continue
            # A child that was waited for moves its time to its parent, so the sum over the tree is
            # kept.
            cpu += cpu_used(process) + process.children_cpu
            rss, threads = rss + process.rss, threads + process.threads
            processes += 1
            switches.update(switches_by_thread(pid))
            try:
                fds = None if fds is None else fds + len(os.listdir(f"/proc/{pid}/fd"))
            except PermissionError:
                fds = None
            except OSError:
                continue
        return TreeUsage(
            at=time.monotonic(),
            cpu=cpu,
            rss=rss,
            fds=fds,
            threads=threads,
            processes=processes,
            switches=switches,
        )

    def _resources(
        self, before: TreeUsage, after: TreeUsage, grown: Counters, watched: _Watched
    ) -> Resources:
        target, seconds = self._target, max(after.at - before.at, 1e-9)
        unread = [count for _, count in self.unread]
        if not after.processes:
            return Resources(
                seconds,
                cpu_limit=target.cpu_limit,
                memory_limit=target.memory_limit,
                memory_hits=grown.memory_hits,
                oom_kills=grown.oom_kills,
                tasks_refused=grown.tasks_refused,
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
            rss_peak=max(before.rss, after.rss, *(rss for _, rss in watched.rss)),
            rss_slope=_slope([(before.at, before.rss), *watched.rss, (after.at, after.rss)]),
            memory_share=used / memory if memory else None,
            memory_limit=memory,
            memory_limit_source=target.memory_limit_source,
            fds=after.fds,
            fds_most=watched.files.count if watched.files else None,
            fds_limit=watched.files.limit if watched.files else None,
            threads=after.threads,
            processes=after.processes,
            switches_voluntary=voluntary / seconds,
            switches_involuntary=involuntary / seconds,
            memory_hits=grown.memory_hits,
            oom_kills=grown.oom_kills,
            tasks_refused=grown.tasks_refused,
            host_cpu_share=_share(grown.host_busy, grown.host_all),
            psi_cpu=_share(grown.psi_cpu, seconds * _MICROSECONDS),
            psi_io=_share(grown.psi_io, seconds * _MICROSECONDS),
            psi_memory=_share(grown.psi_memory, seconds * _MICROSECONDS),
            accept_queue=watched.accept_queue,
            accept_backlog=max(
                (at.backlog for at in target.listeners if at.backlog is not None), default=None
            ),
            listen_overflows=grown.listen_overflows,
            listen_drops=grown.listen_drops,
            syn_retransmits=grown.syn_retransmits,
            retransmits=grown.retransmits,
            connections=dict(watched.connections),
            unread=fmean(unread) if unread else None,
            unread_error=sampling_error(unread),
        )


def nearest_to_limit(pids: Iterable[int]) -> OpenFiles | None:
    """The files of the process that has most of what it may have open; None where none has a limit,
    or it may not be looked at.
    """
    held = [each for pid in pids if (each := _open_files(pid)) is not None]
    return max(held, key=lambda each: each.share, default=None)


def _open_files(pid: int) -> OpenFiles | None:
    limit = files_limit(pid)
    try:
        # One that is closed while they are listed, and opened again, is listed twice.
        return OpenFiles(min(limit, len(os.listdir(f"/proc/{pid}/fd"))), limit) if limit else None
    except OSError:
        return None


def _unix_inodes(target: TargetProcess) -> frozenset[int]:
    """The unix sockets that the target listens on, where load goes to one."""
    held: set[int] = set()
    for pid in {pid for listener in target.listeners if listener.path for pid in listener.pids}:
        with suppress(PermissionError):
            held |= held_inodes(pid)
    return frozenset(held & unix_listening(target.root).keys()) if held else frozenset()


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


def _slope(points: list[tuple[Seconds, Bytes]]) -> float | None:
    """Bytes per second by least squares; None for fewer than five points or less than a second."""
    times, sizes = [at for at, _ in points], [float(size) for _, size in points]
    if len(points) < _SLOPE_POINTS or times[-1] - times[0] < _SLOPE_SPAN:
        return None
    return linear_regression(times, sizes).slope
