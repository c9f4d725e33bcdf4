"""What the target's peers did over spans of time, from outside: a database, a cache, a service on
this host, told by the other ends of the target's connections.

Their CPU is exact (the kernel's own count); what their threads did is sampled like the target's,
and what PostgreSQL's processes did is read from their titles. All of it together costs less than a
hundredth of a core for a dozen connections; it looks less often where it would cost more.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from perfhunt.errors import AttachFailed, PerfhuntError
from perfhunt.model.states import Peer, PeerProcess, States, ThreadState
from perfhunt.model.units import Cores, Seconds
from perfhunt.profilers.state_sampler import Pace, StateSampler
from perfhunt.target.host.host_use import HostUse, HostUsed, host_use, used_between
from perfhunt.target.host.opened import (
    CLOSED,
    Opened,
    SocketsOfHost,
    is_endpoint,
    opened,
    sockets_held,
    sockets_of_host,
)
from perfhunt.target.host.peers import PeerFinder, PeerTree, backend, members
from perfhunt.target.proc.cgroup import cpu_limit
from perfhunt.target.proc.sockets import TcpSocket
from perfhunt.target.proc.threads import tids
from perfhunt.target.proc.tree import descendants
from perfhunt.target.watcher import Watcher

TITLES_EVERY: Seconds = 0.2  # a span of eight seconds shows forty of each process's
CONNECTIONS_EVERY: Seconds = 1.0  # the tables of sockets are the dearest to read
_COST_LIMIT = 0.004  # of one core, for each of the two; beyond it they are read less often
_PACE = Pace(rate=10.0, slowest=0.2, cost=0.003)  # of each peer's threads
# Of a peer, that are looked at one by one: each takes two of the thousand descriptors that a
# process may have.
_MOST_THREADS = 150
_NOT_LOOKED_AT = States(
    "", 0.0, (), 0, notes=("it has too many threads to look at each: only its CPU is known",)
)
_WHOLE = 0.95  # of a span: a peer that was met later was not watched all the time
_PROCESSES = 32  # of a peer that are kept, those that used most CPU first
_RUNNABLE = (ThreadState.ON_CPU, ThreadState.RUN_QUEUE)


@dataclass
class _WatchedPeer:
    """One peer under observation, and what was seen of it since the span began."""

    tree: PeerTree
    sampler: StateSampler | None = None
    connections: Counter[str] = field(default_factory=Counter)  # by address, over all looks
    others: int = 0  # connections of others, over all looks
    ports: dict[int, set[int]] = field(default_factory=dict)  # of the target, by serving process
    foreign: set[int] = field(default_factory=set)  # processes that served others
    titles: dict[int, Counter[str]] = field(default_factory=dict)
    title_looks: int = 0

    def begin(self) -> None:
        """Forget what was seen, for a new span."""
        self.connections.clear()
        self.ports.clear()
        self.foreign.clear()
        self.titles.clear()
        self.others = self.title_looks = 0

    def close(self) -> None:
        """Look at its threads no more. Idempotent."""
        if self.sampler is not None:
            self.sampler.close()
            self.sampler = None

    def process(self, pid: int, cores: Cores) -> PeerProcess:
        """One of its processes over the span."""
        doing = self.titles.get(pid, Counter[str]()).most_common(1)
        return PeerProcess(
            pid=pid,
            ports=tuple(sorted(self.ports[pid] - {0})),
            cores=cores,
            doing=doing[0][0] if doing else "",
        )


class PeerWatch:
    """Watches the peers of a target in a thread of the controller, from `open` to `close`.

    `mark()` starts a span, `take()` ends it and starts the next. `root` is the target's first
    process; `waited_on` tells where the sockets lead that its threads were seen to wait on: a look
    misses connections that are opened for each request.
    """

    def __init__(
        self,
        root: int,
        clock: Callable[[], Seconds] = time.monotonic,
        waited_on: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self._root, self._clock, self._waited_on = root, clock, waited_on
        self._finder = PeerFinder()
        self._watched: dict[tuple[int, ...] | str, _WatchedPeer] = {}
        self._lock = threading.Lock()
        self._watcher = Watcher(
            "perfhunt-peers", "Looking at the target's peers", self._look_again, TITLES_EVERY
        )
        self._looks = 0
        self._connections_at = float("-inf")
        self._connections_period = CONNECTIONS_EVERY
        self._before: HostUse | None = None

    def open(self) -> None:
        """Begin to look. Idempotent."""
        self._watcher.start()

    def close(self) -> None:
        """Stop looking. Idempotent."""
        self._watcher.close()
        for watched in self._watched.values():
            watched.close()

    def mark(self) -> None:
        """Start a new span here; what was seen since the last one is dropped."""
        with self._lock:
            self._begin()

    def take(self) -> tuple[Peer, ...]:
        """The peers since the last `mark` or `take`, those that used most CPU first; the next span
        starts here. Raises AttachFailed when /proc could not be understood.
        """
        try:
            self._watcher.check()
            with self._lock:
                self._look_at_connections()
                peers = self._peers()
                self._begin()
        except (PerfhuntError, OSError, ValueError) as error:
            raise AttachFailed(f"The target's peers were not looked at: {error}") from error
        return tuple(sorted(peers, key=lambda peer: (-(peer.cores or 0.0), peer.name)))

    def _begin(self) -> None:
        for watched in self._watched.values():
            watched.begin()
            if watched.sampler is not None:
                watched.sampler.mark()
        self._looks, self._before = 0, host_use()
        self._look_at_connections()

    def _look_again(self) -> Seconds:
        with self._lock:
            began = time.thread_time()
            self._look_at_titles()
            titles = time.thread_time() - began
            if self._clock() - self._connections_at >= self._connections_period:
                self._look_at_connections()
                spent = time.thread_time() - began - titles
                self._connections_period = max(CONNECTIONS_EVERY, spent / _COST_LIMIT)
        return max(TITLES_EVERY, titles / _COST_LIMIT)

    def _look_at_connections(self) -> None:
        now = self._connections_at = self._clock()
        target = descendants([self._root])
        sockets = sockets_of_host(self._root)
        connections = opened(sockets_held(target), sockets)
        missed = self._waited_on() - {connection.address for connection in connections}
        closed = [Opened(at, CLOSED, 0) for at in missed if is_endpoint(at)]
        trees = self._finder.trees([*connections, *closed], sockets, target, now)
        self._looks += 1
        by_peer: dict[tuple[int, ...] | str, list[Opened]] = {}
        for connection in (*connections, *closed):
            tree = trees[connection.address]
            if not tree.is_target:
                by_peer.setdefault(tree.roots or connection.address, []).append(connection)
        for key, theirs in by_peer.items():
            watched = self._watched.get(key) or self._meet(key, trees[theirs[0].address])
            for connection in theirs:
                watched.connections[connection.address] += connection.port != CLOSED
            pids = members(watched.tree, target)
            self._watch_threads(watched, pids)
            _look_at_ends(watched, theirs, sockets, pids)

    def _meet(self, key: tuple[int, ...] | str, tree: PeerTree) -> _WatchedPeer:
        self._watched[key] = watched = _WatchedPeer(tree)
        return watched

    def _watch_threads(self, watched: _WatchedPeer, pids: Collection[int]) -> None:
        """Look at each thread of a peer, as long as they are not too many."""
        if sum(len(tids(pid)) for pid in pids) > _MOST_THREADS:
            watched.close()
        elif watched.sampler is None:
            sampler = StateSampler(watched.tree.roots, self._clock, pace=_PACE)
            watched.sampler = sampler.__enter__()

    def _look_at_titles(self) -> None:
        for watched in self._watched.values():
            titles = {pid: at for pid in watched.ports if (at := backend(pid)) is not None}
            watched.title_looks += bool(titles)
            for pid, title in titles.items():
                watched.titles.setdefault(pid, Counter())[title.doing] += 1

    def _peers(self) -> list[Peer]:
        assert self._before is not None
        used = used_between(self._before, host_use())
        target = descendants([self._root])
        return [
            _peer(watched, used, target, self._looks)
            for watched in self._watched.values()
            if watched.connections
        ]


def _look_at_ends(
    watched: _WatchedPeer,
    connections: Collection[Opened],
    sockets: SocketsOfHost,
    pids: Iterable[int],
) -> None:
    """Which processes of a peer serve which of the target's connections, and which serve others."""
    ports_of = {c.far_inode: c.port for c in connections if c.far_inode}
    ports = {c.port for c in connections}  # 0 for a unix socket, in titles too
    for pid in pids:
        held = sockets_held([pid])
        if mine := held & ports_of.keys():
            watched.ports[pid] = {ports_of[inode] for inode in mine}
        elif not (held and ports_of) and (at := backend(pid)) is not None:
            # Its descriptors may not be read, or are of another network namespace, but its title
            # says whom it serves.
            if at.port in ports:
                watched.ports[pid] = {at.port}
            else:
                watched.foreign.add(pid)
                watched.others += 1
        theirs = _inbound(held, sockets, connections) - ports_of.keys()
        watched.others += len(theirs)
        if theirs and not mine:
            watched.foreign.add(pid)


def _inbound(
    held: Collection[int], sockets: SocketsOfHost, connections: Iterable[Opened]
) -> set[int]:
    """Of the sockets a process holds, those of connections that clients opened to the same ports as
    the target.
    """
    ports = {c.address.rpartition(":")[2] for c in connections if c.port}
    rows: dict[int, TcpSocket] = {
        inode: row for inode in held if (row := sockets.established.get(inode)) is not None
    }
    return {inode for inode, row in rows.items() if str(row.local_port) in ports}


def _peer(watched: _WatchedPeer, used: HostUsed, target: Collection[int], looks: int) -> Peer:
    """One peer over a span."""
    tree = watched.tree
    addresses = tuple(address for address, _ in watched.connections.most_common())
    connections = watched.connections.total() / max(looks, 1)
    if not tree.roots:
        return Peer(tree.name, addresses, connections, note=tree.note)
    foreign = watched.foreign - watched.ports.keys()
    pids = [pid for pid in members(tree, target) if pid not in foreign]
    states = watched.sampler.take("peer") if watched.sampler else _NOT_LOOKED_AT
    threads = [thread for thread in states.threads if thread.pid in pids]
    ran = [sum(t.states.get(s, 0.0) for s in _RUNNABLE) for t in threads if t.tid]
    cores = {pid: _cores(pid, used, states) for pid in pids}
    serving = sorted(cores.keys() & watched.ports, key=lambda pid: (-cores[pid], pid))
    doing = sum(watched.titles.values(), Counter[str]())
    return Peer(
        name=tree.name,
        addresses=addresses,
        connections=connections,
        pids=tree.roots,
        others=watched.others / max(looks, 1),
        cores=sum(cores[pid] for pid in pids),
        queued=sum(t.states.get(ThreadState.RUN_QUEUE, 0.0) for t in threads) if threads else None,
        allowed=cpu_limit(tree.roots[0])[0],
        busiest=min(1.0, max(ran)) if ran else None,
        threads=len(ran),
        states=_means(thread.states for thread in threads),
        waits_on=_means(thread.endpoints for thread in threads),
        doing={what: n / max(watched.title_looks, 1) for what, n in doing.items()},
        processes=tuple(watched.process(pid, cores[pid]) for pid in serving[:_PROCESSES]),
        note=tree.note or "; ".join(states.notes),
    )


def _cores(pid: int, used: HostUsed, states: States) -> Cores:
    """The CPU of a process: of its threads to the nanosecond where they were watched for the whole
    span, and with its children that ended by the ticks of its own account, whichever is more.
    """
    ticks = used.of([pid])
    if states.seconds < _WHOLE * used.seconds:
        return ticks
    on_cpu = (t.states.get(ThreadState.ON_CPU, 0.0) for t in states.threads if t.pid == pid)
    return max(ticks, sum(on_cpu))


def _means(shares: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Mean number of threads, from the share of each thread's time by state or by endpoint."""
    means: Counter[str] = Counter()
    for each in shares:
        means.update(each)
    return dict(means)
