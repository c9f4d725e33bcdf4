"""Commands several load processes as one: workers that it starts beside it, or that join it from
other hosts.

Each worker takes every n-th arrival of the same seeded schedule, so together they send exactly what
one would. Their raw samples come up every second and go into one file; a worker that falls silent
ends the trial.
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import gevent
import msgspec
from gevent import socket
from gevent.event import Event

from perfhunt.errors import LoadFailed
from perfhunt.load.child.fleet.channel import Channel
from perfhunt.load.child.fleet.listener import WorkerListener
from perfhunt.load.child.fleet.merging import (
    MergedRoutes,
    merged_done,
    merged_report,
    renumbered,
)
from perfhunt.load.child.fleet.share import share_of
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.sender import ReportSecond
from perfhunt.load.messages import (
    FAREWELL,
    WORKER_ANSWERS,
    ClockReading,
    EndLoad,
    Flooded,
    FloodTarget,
    Heartbeat,
    LoadError,
    LoadReady,
    MalformedMessage,
    OpenFleet,
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
    one_line,
)
from perfhunt.load.seam import WorkerClock
from perfhunt.load.trust.address import REMOTE_JOIN_WITHIN, MasterAddress
from perfhunt.load.trust.grant import has_users
from perfhunt.model.latency import SAMPLE
from perfhunt.model.testfile.feed import FeedRow
from perfhunt.model.trial import STOPPED, Step
from perfhunt.model.units import Seconds

BEAT: Seconds = 0.2
LOST_AFTER: Seconds = 1.5  # of silence; with the beat it makes less than two seconds
JOIN_WITHIN: Seconds = 25.0  # for workers started here, each of which imports Locust
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

    channel: Channel[WorkerAnswer]
    host: str
    index: int = 0
    ready: LoadReady | None = None
    offset: Seconds = 0.0
    doubt: Seconds = math.inf
    heard: Seconds = 0.0
    routes: list[int] = field(default_factory=list)  # its numbers of them, in the fleet's
    reports: dict[int, SecondReport] = field(default_factory=dict)  # by their second
    last: SecondReport | None = None
    done: WorkerDone | None = None
    answer: ProbeAnswered | Flooded | None = None
    lost: bool = False
    gone: bool = False  # its connection has ended
    fault: str = ""  # what it said that it may not

    def __str__(self) -> str:
        return f"load worker {self.index} on {self.host}"

    def clock(self) -> WorkerClock:
        """Who it is, and how far off its clock is."""
        pid = self.ready.pid if self.ready is not None else 0
        return WorkerClock(host=self.host, pid=pid, offset=self.offset, doubt=self.doubt)


class Fleet:
    """Commands the workers as if they were one source."""

    def __init__(self, order: OpenFleet, sessions: Sequence[FeedRow] = ()) -> None:
        """Starts or awaits the workers, opens the question on each, and measures their clocks.
        `sessions` are what the logins gave. Raises LoadFailed.
        """
        self._sessions = tuple(sessions)
        self._size = order.workers
        self._workers: list[WorkerState] = []
        self._opened = False
        self._error: LoadError | None = None
        self._changed = Event()
        self._running = False
        self._recorder = Recorder("")
        self._routes = MergedRoutes() if has_users(order.load.question) else None
        gevent.spawn(self._beat)
        if order.bind is None:
            self._processes = [self._start() for _ in range(self._size)]
        else:
            self._wait_at(order.bind, order.secret)
        self._open(order)
        self._measure_clocks()

    def _start(self) -> subprocess.Popen[bytes]:
        """A worker with its end of a connection that nobody else can come to."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "perfhunt.load.child", "worker"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
            )
        self._take_on(ours, "this host")
        return process

    def _wait_at(self, address: MasterAddress, secret: str) -> None:
        """Until there are workers enough; then nobody can join any more."""
        listener = WorkerListener(address, secret, self._take_on)
        try:
            self._await(
                lambda: listener.heard_of() and len(self._workers) >= self._size,
                REMOTE_JOIN_WITHIN,
                lambda: (
                    f"{len(self._workers)} of {self._size} load workers joined within"
                    f" {REMOTE_JOIN_WITHIN:g} s{listener.turned_away}"
                ),
                f"On each of their hosts: {address.worker_command}, with the same secret.",
            )
        finally:
            listener.close()

    def _take_on(self, connection: Any, host: str) -> None:
        worker = WorkerState(Channel(connection, WORKER_ANSWERS), host, heard=time.monotonic())
        if self._opened or len(self._workers) >= self._size:
            worker.channel.close()
        else:
            self._workers.append(worker)
        gevent.spawn(self._listen, worker)
        self._changed.set()

    def _listen(self, worker: WorkerState) -> None:
        """Hears a worker out. What it may not say ends its connection, and with it its part."""
        try:
            for answer in worker.channel.messages():
                self._take(worker, answer)
        except Exception as error:  # whatever it said, it costs no more than its own part
            why = error.message if isinstance(error, MalformedMessage) else type(error).__name__
            worker.fault = f" ({one_line(why)})"
        worker.gone = True
        if not self._opened and worker in self._workers:
            self._workers.remove(worker)  # another may still come in its place
        self._changed.set()

    def _await(
        self,
        ready: Callable[[], bool],
        within: Seconds,
        missing: Callable[[], str] = lambda: "a load worker did not answer in time",
        hint: str = "",
    ) -> None:
        deadline = time.monotonic() + within
        while not ready():
            if self._error is not None:
                raise self._error.raised
            if early := next((w for w in self._workers if w.gone and w.ready is None), None):
                raise LoadFailed(
                    f"a load worker on {early.host} ended before it was ready{early.fault}",
                    "Its log is load-child.log in the run directory; of a worker on another host,"
                    " what it said there.",
                )
            if time.monotonic() > deadline:
                raise LoadFailed(missing(), hint)
            self._changed.clear()
            self._changed.wait(BEAT)

    def _open(self, order: OpenFleet) -> None:
        """Gives every worker what it needs of the question, and no more."""
        self._opened, share = True, share_of(order, self._sessions)
        for worker in self._workers:
            self._send(worker, share)
        self._await(lambda: all(w.ready is not None for w in self._workers), JOIN_WITHIN)
        if len({(w.ready.routes, w.ready.weights) for w in self._workers if w.ready}) > 1:
            raise LoadFailed(
                "the load workers have different traffic", "Give each the same locustfile."
            )

    def _measure_clocks(self) -> None:
        """By the quickest of several round trips (Cristian 1989): the offset is known within half
        of that.
        """
        for _ in range(PINGS):
            for worker in self._workers:
                self._send(worker, ReadClock(at=time.monotonic()))
            gevent.sleep(PING_EVERY)
        self._await(
            lambda: all(math.isfinite(worker.doubt) for worker in self._workers), LOST_AFTER
        )

    def ready(self) -> LoadReady:
        """What the first worker says of itself, and who they all are."""
        first = self._workers[0].ready
        assert first is not None  # none is missing once the fleet is open
        clocks = tuple(worker.clock() for worker in self._workers)
        return msgspec.structs.replace(first, workers=clocks)

    def _send(self, worker: WorkerState, order: WorkerOrder) -> None:
        worker.channel.send(order)

    def _beat(self) -> None:
        while True:
            for worker in self._workers:
                self._send(worker, Heartbeat())
            gevent.sleep(BEAT)

    def run(self, step: Step, grace: Seconds, recorder: Recorder, report: ReportSecond) -> StepDone:
        """As TrafficSource.run, by all workers together. A lost one is told of in `invalid`."""
        workers = self._workers
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
        routes = None if self._routes is None else self._routes.names
        return merged_done(ended, len(workers), lost, epoch, routes)

    def _begin(self, workers: Sequence[WorkerState], step: Step, grace: Seconds) -> Seconds:
        """Gives each worker its share of the step; when it begins, on our clock."""
        now = time.monotonic()
        for index, worker in enumerate(workers):
            worker.index = index
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
        """Looks for a worker that is gone or silent; its loss stops the others."""
        now = time.monotonic()
        for worker in workers:
            silent = worker.gone or now - worker.heard > LOST_AFTER
            if worker.done is None and not worker.lost and silent:
                worker.lost = True
                self.stop(hard=True)
                return _loss(worker)
        return ""

    def stop(self, hard: bool) -> None:
        """Takes the load off, everywhere."""
        for worker in self._workers:
            if not worker.lost:
                self._send(worker, StopLoad(hard=hard))

    def end(self) -> None:
        """Tells the workers that the test is over, and waits while they tell their locustfiles."""
        for worker in self._workers:
            self._send(worker, EndLoad())
        with gevent.Timeout(2 * FAREWELL, False):
            while any(not worker.gone for worker in self._workers):
                self._changed.clear()
                self._changed.wait(BEAT)

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
        workers = [w for w in self._workers if not w.lost and not w.gone][:count]
        for worker in workers:
            worker.answer = None
            self._send(worker, order)
        if not workers:
            raise LoadFailed("no load worker is left")
        self._await(lambda: all(w.answer or w.gone for w in workers), seconds + JOIN_WITHIN)
        answers = [w.answer for w in workers if isinstance(w.answer, kind)]
        if len(answers) < len(workers):
            raise LoadFailed("a load worker was lost")
        return answers

    def _take(self, worker: WorkerState, answer: WorkerAnswer) -> None:
        now = worker.heard = time.monotonic()
        match answer:
            case LoadReady() if worker.ready is None:
                worker.ready, worker.host = answer, one_line(answer.host)
            case LoadError():
                self._error = LoadError(
                    why=f"load worker on {worker.host}: {one_line(answer.why)}",
                    hint=one_line(answer.hint),
                    of_user=answer.of_user,
                )
                worker.lost = worker.lost or self._running
            case ClockReading():
                doubt = (now - answer.at) / 2
                if 0 <= doubt < worker.doubt:
                    worker.doubt, worker.offset = doubt, answer.theirs - (now + answer.at) / 2
            case WorkerSecond():
                self._record(worker, answer)
                worker.reports[answer.report.second] = worker.last = answer.report
            case WorkerDone():
                self._record(worker, answer)
                worker.done = msgspec.structs.replace(answer, invalid=_doubt(worker, answer))
            case ProbeAnswered() | Flooded():
                worker.answer = answer
        self._changed.set()

    def _record(self, worker: WorkerState, answer: WorkerSecond | WorkerDone) -> None:
        """Writes down a worker's samples. Raises MalformedMessage for what is none."""
        samples = _whole(answer.samples)
        if self._routes is not None:
            worker.routes += self._routes.add(answer.met)
            samples = renumbered(samples, worker.routes)
        self._recorder.add_bytes(samples)


def _doubt(worker: WorkerState, answer: WorkerDone) -> str:
    """What a worker says of its own share, with its name; a stop is told as one."""
    told = one_line(answer.invalid)
    stopped = STOPPED if told.startswith(STOPPED) else ""
    return f"{stopped}{worker}: {told.removeprefix(stopped)}" if told else ""


def _loss(worker: WorkerState) -> str:
    if worker.gone:
        return f"{worker} was lost{worker.fault}: its share of the requests is missing"
    return (
        f"{worker} was silent for {LOST_AFTER:g} s and was given up: it is suspended or cut off, or"
        " has more to send than it can, which more workers would share"
    )


def _whole(samples: bytes) -> bytes:
    """Packed samples, none of them cut. Raises MalformedMessage."""
    if len(samples) % SAMPLE.itemsize:
        raise MalformedMessage(f"{len(samples)} bytes are no whole number of samples")
    return samples


def _is_whole(workers: Sequence[WorkerState], second: int) -> bool:
    """Whether every worker that still can has reported a second, and one of them did."""
    reported = [second in worker.reports for worker in workers]
    over = [worker.lost or worker.done is not None for worker in workers]
    return any(reported) and all(r or o for r, o in zip(reported, over, strict=True))
