"""What threads were doing, seen from outside: the target's, time per state, per thread; and those
of its peers, the databases, caches and services at the other end of its connections.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from perfhunt.model.units import Cores, Seconds, Share


class ThreadState(StrEnum):
    """The states of thread state analysis (Gregg, TSA method), with Python's GIL told apart from
    other locks. A task of an event loop is in one of them too, or in one of the last two.
    """

    ON_CPU = "on_cpu"
    RUN_QUEUE = "run_queue"
    GIL = "gil"
    LOCK = "lock"
    SOCKET = "socket"
    POLL = "poll"
    SLEEP = "sleep"
    DISK = "disk"
    OTHER = "other"  # off CPU in a call that none of the others names
    UNKNOWN = "unknown"  # the kernel would not say
    AWAIT = "await"  # a task waits for something that none of the others names
    LOOP = "loop"  # a task is ready, and waits for the event loop to come to it


# Never the kernel's word: of tasks, and of threads whose runtime tells.
OF_TASKS = frozenset({ThreadState.AWAIT, ThreadState.LOOP})


@dataclass(frozen=True, slots=True)
class ThreadTime:
    """How one thread spent a span: share of wall time per state (sums to about 1), sockets split by
    endpoint.
    """

    pid: int
    tid: int
    name: str
    states: Mapping[str, float]
    endpoints: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class States:
    """Thread states over one span of load. `threads` counts those that lived through at least half
    of it.

    Mean number of threads in a state is the sum of their shares: `in_state`. `source` says how deep
    the reading went: "syscall" (all states) or "schedstat" (on-CPU and run queue only; the rest is
    UNKNOWN). `idle` is the mean number of threads that waited for work, by the state they waited
    in, when their stacks told so (else empty). Threads that lived shorter are one row a process,
    tid 0, whose shares may sum to more than 1.
    """

    phase: str
    seconds: Seconds
    threads: tuple[ThreadTime, ...]
    ticks: int
    source: str = "syscall"
    cost: float = 0.0  # of one core, the sampler's own
    notes: tuple[str, ...] = ()
    idle: Mapping[str, float] = field(default_factory=dict)

    def in_state(self, state: ThreadState | str) -> float:
        """Mean number of threads in `state` during the span."""
        return sum(t.states.get(str(state), 0.0) for t in self.threads)

    def totals(self) -> dict[str, float]:
        """Mean number of threads per state, every state of threads present."""
        return {str(s): self.in_state(s) for s in ThreadState if s not in OF_TASKS}

    def busy(self) -> dict[str, float]:
        """`totals` without the threads that waited for work, who are counted under `idle`."""
        waiting = {
            state: min(count, self.idle.get(state, 0.0)) for state, count in self.totals().items()
        }
        return {
            **{s: n - waiting[s] for s, n in self.totals().items()},
            "idle": sum(waiting.values()),
        }

    def endpoints(self) -> dict[str, float]:
        """Mean number of threads waiting on each remote endpoint."""
        waiting: dict[str, float] = {}
        for thread in self.threads:
            for endpoint, share in thread.endpoints.items():
                waiting[endpoint] = waiting.get(endpoint, 0.0) + share
        return waiting


# How the part of an activity ends that PostgreSQL shows of a backend which waits for a lock
# (`update_process_title`, on unless turned off).
WAITING = " waiting"
_IDLE = "idle"  # how the activity of a backend begins that waits for its client
_AT_WORK = (ThreadState.ON_CPU, ThreadState.RUN_QUEUE, ThreadState.DISK, ThreadState.SOCKET)


class PeerKind(StrEnum):
    """What a peer is to the service: where it keeps its data, or another service."""

    DATABASE = "database"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class _Store:
    """A program that keeps data for others: its name, and the port its protocol has (IANA)."""

    name: str
    port: int


# The stores that speak a protocol of their own on a registered port, so that the port tells what a
# process is that may not be seen. What speaks HTTP is a service like any other.
_STORES = (
    _Store("postgres", 5432),
    _Store("pgbouncer", 6432),
    _Store("mysqld", 3306),
    _Store("mariadbd", 3306),
    _Store("redis-server", 6379),
    _Store("valkey-server", 6379),
    _Store("memcached", 11211),
    _Store("mongod", 27017),
)
_PORT = re.compile(r"(?::|\.s\.PGSQL\.)(\d+)$")  # PostgreSQL's unix socket has the port in its name


def port_of(address: str) -> int:
    """The port at the end of an endpoint; 0 when it has none."""
    match = _PORT.search(address)
    return int(match[1]) if match else 0


def stores_at(address: str) -> tuple[str, ...]:
    """The names of the programs that an endpoint belongs to by its port, or by the path of a unix
    socket; the commonest first.
    """
    path = address if address.startswith("unix:") else ""
    port = port_of(address)
    return tuple(store.name for store in _STORES if store.port == port or store.name in path)


@dataclass(frozen=True, slots=True)
class PeerProcess:
    """A process of a peer that serves connections of the target: `ports` are the target's own, as
    it was last seen to have them; `doing` what its title says it did mostly, "" where it has none.
    """

    pid: int
    ports: tuple[int, ...] = ()
    cores: Cores | None = None
    doing: str = ""


@dataclass(frozen=True, slots=True)
class Peer:
    """One peer over a span of load. What could not be read is None or empty, and `note` says why.

    `addresses` are spelled like the endpoints that threads wait on; `connections` is how many the
    target had to it on average, `others` how many others had. `cores` is the CPU of its processes
    without those that served only others, `queued` their threads that could run and had no core,
    `allowed` the cores they may use, `busiest` the time its busiest thread ran or could. `states`
    is the mean number of its threads by state, `waits_on` by the endpoint that they wait on
    themselves, `doing` that of the processes that serve the target by what their titles say.
    """

    name: str
    addresses: tuple[str, ...]
    connections: float
    pids: tuple[int, ...] = ()
    others: float = 0.0
    cores: Cores | None = None
    queued: Cores | None = None
    allowed: Cores | None = None
    busiest: Share | None = None
    threads: int = 0
    states: Mapping[str, float] = field(default_factory=dict)
    waits_on: Mapping[str, float] = field(default_factory=dict)
    doing: Mapping[str, float] = field(default_factory=dict)
    processes: tuple[PeerProcess, ...] = ()
    note: str = ""

    @property
    def kind(self) -> PeerKind:
        """Whether it is known as a store of data, by its name or by its port."""
        known = any(store.name == self.name for store in _STORES)
        by_port = any(stores_at(address) for address in self.addresses)
        return PeerKind.DATABASE if known or by_port else PeerKind.SERVICE

    @property
    def is_seen(self) -> bool:
        """Whether its processes could be looked at."""
        return self.cores is not None

    @property
    def busy(self) -> float | None:
        """How many of its threads were at work on average: by states in which no thread waits for
        work, or by the titles of its processes, which know of locks too. None when neither is
        known.
        """
        if not self.is_seen:
            return None
        by_title = sum(n for what, n in self.doing.items() if not what.startswith(_IDLE))
        by_state = sum(self.states.get(state, 0.0) for state in _AT_WORK)
        return max(by_title, by_state, self.cores or 0.0)

    @property
    def busy_share(self) -> Share | None:
        """The same, of the processes that serve the target, or of all its threads."""
        whole = sum(self.doing.values()) if self.doing else self.threads
        return None if self.busy is None or not whole else min(1.0, self.busy / whole)

    @property
    def locked(self) -> Share:
        """The share of its work that is waiting for a lock, where its titles say so."""
        waiting = sum(n for what, n in self.doing.items() if what.endswith(WAITING))
        return waiting / self.busy if waiting and self.busy else 0.0

    @property
    def at_disk(self) -> Share:
        """The share of its work that is waiting for storage."""
        return min(1.0, self.states.get(ThreadState.DISK, 0.0) / self.busy) if self.busy else 0.0
