"""What threads were doing, seen from outside: time per state, per thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from perfhunt.model.units import Seconds


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


# Of tasks alone: the kernel knows threads.
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
