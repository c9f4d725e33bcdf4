"""A threaded service in virtual time: its threads compute one at a time, wait, or hold the one
lock; and what profilers would have seen of it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache

import numpy as np

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.model.trial import Phase, Resources, Step, Trial
from tests.unit.scenes import profile, series
from tests.unit.trials import HELD


class Doing(Enum):
    """What a part of a request does."""

    COMPUTE = auto()
    WAIT = auto()
    HOLD = auto()  # the lock, asleep


@dataclass(frozen=True)
class Part:
    """A function of a request: what it does, for how long on average (exponential)."""

    function: str
    doing: Doing
    mean: float


@dataclass(eq=False)
class Worker:
    """A thread: the parts of its request that are left, and whether it waits for its turn."""

    left: deque[Part] = field(default_factory=deque)
    queued: bool = False


class ThreadedService:
    """The threads, fed by a Poisson stream, or without end where `rate` is None."""

    def __init__(self, threads: int, parts: Sequence[Part], seed: int = 1) -> None:
        self.workers = [Worker() for _ in range(threads)]
        self.parts, self.random = parts, np.random.default_rng(seed)
        self.now = 0.0
        self.done = self.backlog = 0
        self.used: dict[str, float] = {part.function: 0.0 for part in parts}
        self.turn: dict[Doing, Worker | None] = {Doing.COMPUTE: None, Doing.HOLD: None}
        self.queues: dict[Doing, deque[Worker]] = {d: deque() for d in self.turn}
        self.events: list[tuple[float, int, Worker | None]] = []
        self.count = 0

    def run(self, seconds: float, rate: float | None, looks: int = 0) -> list[list[str]]:
        """Runs it; the threads at so many moments, as lines of `tests.unit.scenes`."""
        moments, seen = deque(np.linspace(1.0, seconds, looks) if looks else ()), []
        self.rate = rate
        if rate is None:
            self.backlog = 10**9
        else:
            self._schedule(self.random.exponential(1 / rate), None)
        for worker in self.workers:
            self._next(worker)
        while self.events and self.events[0][0] < seconds:
            while moments and moments[0] <= self.events[0][0]:
                moments.popleft()
                seen.append([self._line(w) for w in self.workers])
            self.now, _, who = heapq.heappop(self.events)
            self._arrive() if who is None else self._finished(who)
        self.now = seconds
        return seen

    def _schedule(self, after: float, who: Worker | None) -> None:
        self.count += 1
        heapq.heappush(self.events, (self.now + after, self.count, who))

    def _arrive(self) -> None:
        assert self.rate is not None
        self._schedule(self.random.exponential(1 / self.rate), None)
        self.backlog += 1
        idle = next((w for w in self.workers if not w.left), None)
        if idle is not None:
            self._next(idle)

    def _next(self, worker: Worker) -> None:
        if not worker.left and self.backlog:
            self.backlog -= 1
            worker.left.extend(self.parts)
        if worker.left:
            self._enter(worker)

    def _enter(self, worker: Worker) -> None:
        part = worker.left[0]
        if part.doing in self.turn:
            if self.turn[part.doing] is not None:
                worker.queued = True
                self.queues[part.doing].append(worker)
                return
            self.turn[part.doing] = worker
        worker.queued = False
        time = self.random.exponential(part.mean)
        if part.doing is Doing.COMPUTE:
            self.used[part.function] += time
        self._schedule(time, worker)

    def _finished(self, worker: Worker) -> None:
        part = worker.left.popleft()
        if part.doing in self.turn:
            self.turn[part.doing] = None
            if self.queues[part.doing]:
                self._enter(self.queues[part.doing].popleft())
        if not worker.left:
            self.done += 1
        self._next(worker)

    def _line(self, worker: Worker) -> str:
        if not worker.left:
            return "serve!get lock@Q"
        part = worker.left[0]
        state = {
            Doing.COMPUTE: "gil" if worker.queued else "on_cpu*",
            Doing.HOLD: "lock@L" if worker.queued else "sleep",
            Doing.WAIT: "socket@far:1",
        }[part.doing]
        return f"serve>view>{part.function} {state}"


@cache
def capacity_of(threads: int, parts: tuple[Part, ...]) -> float:
    """Answers per second of a service that always has requests left."""
    service = ThreadedService(threads, parts, seed=5)
    service.run(40.0, None)
    return service.done / 40.0


def seen_at(threads: int, parts: Sequence[Part], rate: float, seed: int = 2) -> Evidence:
    """What an investigation sees of it, held at a rate: a hold of 10 s with ten looks a second."""
    service = ThreadedService(threads, parts, seed)
    moments = service.run(11.0, rate, looks=100)
    cpu = sum(service.used.values()) / 11.0
    samples = {name: 1000.0 * used / 11.0 for name, used in service.used.items()}
    completed = service.done / 11.0
    idle = series(*[["serve!get lock@Q"] * threads] * 20)
    resources = Resources(10.0, cpu=cpu, cpu_limit=8.0)
    span = Span(
        completed, profile=profile(**samples), instants=series(*moments), resources=resources
    )
    return Evidence(span, idle=idle, cpu_limit=8.0)


@cache
def tried_at(threads: int, parts: tuple[Part, ...], rate: float) -> Trial:
    """A trial at a rate, with the CPU that was used."""
    service = ThreadedService(threads, parts, seed=int(rate))
    service.run(8.0, rate)
    return trial_with(service.done / 8.0, sum(service.used.values()) / 8.0)


def trial_with(rate: float, cpu: float, seconds: float = 8.0) -> Trial:
    """A trial that held, in which the target used so many cores."""
    step = Step(Phase.PASS, rate, seconds, seed=1)
    return Trial(
        step=step,
        seconds=seconds,
        achieved=rate,
        completed=rate,
        counts={},
        response=HELD.response,
        service=HELD.service,
        outcomes={"ok": int(rate * seconds)},
        generator=HELD.generator,
        resources=Resources(seconds, cpu=cpu),
    )
