"""Several load processes as one: Locust's master here, its workers beside it or on other hosts, and
perfhunt's messages between.

Each worker takes every n-th arrival of the same seeded schedule, so together they send exactly what
one would. Their raw samples come up every second and go into one file; a worker that falls silent
ends the trial.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import gevent
import msgspec
from gevent.event import Event
from locust.env import Environment

from perfhunt.errors import LoadFailed
from perfhunt.load.child.merging import merged_done, merged_report
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.sender import ReportSecond
from perfhunt.load.messages import (
    CHANNEL,
    WORKER_ANSWERS,
    ClockReading,
    Flooded,
    FloodTarget,
    Heartbeat,
    Joined,
    LoadError,
    LoadReady,
    MalformedMessage,
    OpenLoad,
    ProbeAnswered,
    ReadClock,
    RunShare,
    SecondReport,
    SendProbe,
    StepDone,
    StopLoad,
    WorkerAnswer,
    WorkerDone,
    WorkerOrder,
    WorkerSecond,
    encode,
)
from perfhunt.load.seam import WorkerClock
from perfhunt.model.trial import Step
from perfhunt.model.units import Seconds

BEAT: Seconds = 0.2
LOST_AFTER: Seconds = 1.5  # of silence; with the beat it makes less than two seconds
JOIN_WITHIN: Seconds = 25.0  # for workers started here, each of which imports Locust
REMOTE_JOIN_WITHIN: Seconds = 120.0  # for workers on other hosts, which are started by hand
# From the order to the first arrival, so that every worker has its schedule by then.
LEAD: Seconds = 0.4
PINGS = 9  # round trips by which a clock is measured; the quickest counts
PING_EVERY: Seconds = 0.02

A = TypeVar("A", ProbeAnswered, Flooded)


@dataclass(slots=True)
class WorkerState:
    """A worker as the master knows it. `offset` is its clock minus ours, `doubt` half the round
    trip it was measured by.
    """

    node: str
    index: int
    ready: LoadReady | None = None
    offset: Seconds = 0.0
    doubt: Seconds = math.inf
    heard: Seconds = 0.0
    reports: dict[int, SecondReport] = field(default_factory=dict)  # by their second
    last: SecondReport | None = None
    done: WorkerDone | None = None
    lost: bool = False

    @property
    def host(self) -> str:
        return self.ready.host if self.ready is not None else self.node

    def clock(self) -> WorkerClock:
        """Who it is, and how far off its clock is."""
        pid = self.ready.pid if self.ready is not None else 0
        return WorkerClock(host=self.host, pid=pid, offset=self.offset, doubt=self.doubt)


class Fleet:
    """Commands the workers as if they were one source."""

    def __init__(self, order: OpenLoad, environment: Environment) -> None:
        """Starts or awaits the workers, opens the question on each, and measures their clocks.
        Raises LoadFailed.
        """
        host, _, port = (order.bind or "127.0.0.1:0").rpartition(":")
        self._size = order.workers
        self._runner: Any = environment.create_master_runner(host, int(port))
        self._workers: dict[str, WorkerState] = {}  # by Locust's name of the node
        self._error: LoadError | None = None
        self._changed = Event()
        self._running = False
        self._recorder = Recorder("")
        self._answers: list[ProbeAnswered | Flooded] = []
        self._runner.register_message(CHANNEL, self._on_message)
        self._processes = (
            [] if order.bind else [_start(self._runner.server.port) for _ in range(self._size)]
        )
        self._await(
            lambda: len(self._workers) >= self._size,
            JOIN_WITHIN if self._processes else REMOTE_JOIN_WITHIN,
        )
        gevent.spawn(self._beat)
        self._open(order)
        self._measure_clocks()

    def _await(self, ready: Callable[[], bool], within: Seconds) -> None:
        deadline = time.monotonic() + within
        while not ready():
            if self._error is not None:
                raise LoadFailed(self._error.why, self._error.hint)
            if any(p.poll() is not None for p in self._processes):
                raise LoadFailed(
                    "a load worker ended before it was ready",
                    "Its log is load-child.log in the run directory.",
                )
            if time.monotonic() > deadline:
                raise LoadFailed(
                    f"{len(self._workers)} of {self._size} load workers joined within {within:g} s"
                )
            self._changed.clear()
            self._changed.wait(BEAT)

    def _open(self, order: OpenLoad) -> None:
        share = msgspec.structs.replace(
            order, in_flight=max(1, order.in_flight // self._size), pin=False
        )
        for worker in self._workers.values():
            self._send(worker, share)
        self._await(
            lambda: all(worker.ready is not None for worker in self._workers.values()), JOIN_WITHIN
        )

    def _measure_clocks(self) -> None:
        """By the quickest of several round trips (Cristian 1989): the offset is known within half
        of that.
        """
        for _ in range(PINGS):
            for worker in self._workers.values():
                self._send(worker, ReadClock(at=time.monotonic()))
            gevent.sleep(PING_EVERY)
        self._await(
            lambda: all(math.isfinite(worker.doubt) for worker in self._workers.values()),
            LOST_AFTER,
        )

    def ready(self) -> LoadReady:
        """What the first worker says of itself, and who they all are."""
        workers = self._ordered()
        first = workers[0].ready
        assert first is not None  # none is missing once the fleet is open
        return msgspec.structs.replace(first, workers=tuple(worker.clock() for worker in workers))

    def _ordered(self) -> list[WorkerState]:
        return sorted(self._workers.values(), key=lambda worker: worker.index)

    def _send(self, worker: WorkerState, order: WorkerOrder) -> None:
        self._runner.send_message(CHANNEL, encode(order), worker.node)

    def _beat(self) -> None:
        while True:
            for worker in self._workers.values():
                self._send(worker, Heartbeat())
            gevent.sleep(BEAT)

    def run(self, step: Step, grace: Seconds, recorder: Recorder, report: ReportSecond) -> StepDone:
        """As TrafficSource.run, by all workers together. A lost one is told of in `invalid`."""
        workers = self._ordered()
        self._recorder = recorder
        epoch = self._begin(workers, step, grace)
        self._running, second, lost = True, 0, ""
        while any(worker.done is None and not worker.lost for worker in workers):
            self._changed.clear()
            self._changed.wait(BEAT)
            lost = lost or self._lost(workers)
            while _is_whole(workers, second):
                recorder.flush()
                report(merged_report([w.reports.pop(second, w.last) for w in workers], second))
                second += 1
        self._running = False
        ended = [worker.done for worker in workers if worker.done is not None]
        return merged_done(ended, len(workers), lost, epoch)

    def _begin(self, workers: Sequence[WorkerState], step: Step, grace: Seconds) -> Seconds:
        """Gives each worker its share of the step; when it begins, on our clock."""
        now = time.monotonic()
        for worker in workers:
            worker.reports, worker.last, worker.done, worker.heard = {}, None, None, now
            share = RunShare(
                step=step,
                grace=grace,
                epoch=now + LEAD + worker.offset,
                part=worker.index,
                of=len(workers),
            )
            self._send(worker, share)
        return now + LEAD

    def _lost(self, workers: Sequence[WorkerState]) -> str:
        """Looks for a worker that has fallen silent; its loss stops the others."""
        now = time.monotonic()
        for worker in workers:
            if worker.done is None and not worker.lost and now - worker.heard > LOST_AFTER:
                worker.lost = True
                self.stop(hard=True)
                return (
                    f"load worker {worker.index} on {worker.host} was lost:"
                    " its share of the requests is missing"
                )
        return ""

    def stop(self, hard: bool) -> None:
        """Takes the load off, everywhere."""
        for worker in self._workers.values():
            if not worker.lost:
                self._send(worker, StopLoad(hard=hard))

    def probe(self, endpoint: int, timeout: Seconds) -> ProbeAnswered:
        """One request, from the first worker that is left; nothing may be unanswered at any."""
        order = SendProbe(endpoint=endpoint, timeout=timeout)
        return self._ask(order, ProbeAnswered, timeout, 1)[0]

    def flood(self, connections: int, seconds: Seconds) -> Flooded:
        """All workers at full speed; the connections are shared among them."""
        order = FloodTarget(connections=max(1, connections // self._size), seconds=seconds)
        floods = self._ask(order, Flooded, 2 * seconds, self._size)
        rate = sum(flood.rate for flood in floods)
        cpu = sum(flood.cpu * flood.rate for flood in floods)
        return Flooded(rate=rate, cpu=cpu / max(rate, 1e-9), errors=floods[0].errors)

    def _ask(self, order: WorkerOrder, kind: type[A], seconds: Seconds, count: int) -> list[A]:
        """The answers of the first `count` workers that are left."""
        self._answers = []
        workers = [worker for worker in self._ordered() if not worker.lost][:count]
        for worker in workers:
            self._send(worker, order)
        if not workers:
            raise LoadFailed("no load worker is left")
        self._await(lambda: len(self._answers) == len(workers), seconds + JOIN_WITHIN)
        return [answer for answer in self._answers if isinstance(answer, kind)]

    def _on_message(self, environment: Any, msg: Any, **more: Any) -> None:
        try:
            answer = WORKER_ANSWERS.decode(msg.data)
        except MalformedMessage as error:
            self._error = LoadError(why=f"load worker {msg.node_id}: {error}", hint=error.hint)
        else:
            self._take(msg.node_id, answer)
        self._changed.set()

    def _take(self, node: str, answer: WorkerAnswer) -> None:
        if isinstance(answer, Joined) and len(self._workers) < self._size:
            self._workers.setdefault(node, WorkerState(node, len(self._workers)))
        worker = self._workers.get(node)
        if worker is None:
            return  # more workers came than were ordered
        now = worker.heard = time.monotonic()
        match answer:
            case LoadReady():
                worker.ready = answer
            case LoadError():
                self._error = answer
                worker.lost = worker.lost or self._running
            case ClockReading():
                doubt = (now - answer.at) / 2
                if doubt < worker.doubt:
                    worker.doubt, worker.offset = doubt, answer.theirs - (now + answer.at) / 2
            case WorkerSecond():
                self._recorder.add_bytes(answer.samples)
                worker.reports[answer.report.second] = worker.last = answer.report
            case WorkerDone():
                self._recorder.add_bytes(answer.samples)
                worker.done = answer
            case ProbeAnswered() | Flooded():
                self._answers.append(answer)


def _start(port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "perfhunt.load.child", "worker", f"127.0.0.1:{port}"]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=dict(os.environ)
    )


def _is_whole(workers: Sequence[WorkerState], second: int) -> bool:
    """Whether every worker that still can has reported a second, and one of them did."""
    reported = [second in worker.reports for worker in workers]
    over = [worker.lost or worker.done is not None for worker in workers]
    return any(reported) and all(r or o for r, o in zip(reported, over, strict=True))
