"""Commands several load processes as one: workers that it starts beside it, or that join it from
other hosts.

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
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import gevent
import msgspec
from gevent import socket
from gevent.event import Event

from perfhunt.errors import LoadFailed
from perfhunt.load.child.fleet.channel import Channel
from perfhunt.load.child.fleet.listener import WorkerListener
from perfhunt.load.child.fleet.merging import merged_done, merged_report
from perfhunt.load.child.recorder import Recorder
from perfhunt.load.child.sender import ReportSecond
from perfhunt.load.messages import (
    WORKER_ANSWERS,
    ClockReading,
    Flooded,
    FloodTarget,
    Heartbeat,
    LoadError,
    LoadReady,
    MalformedMessage,
    OpenFleet,
    OpenShare,
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
from perfhunt.load.trust.address import MasterAddress
from perfhunt.model.latency import SAMPLE
from perfhunt.model.question import ProcessSelector, Question, Safety
from perfhunt.model.testfile.template import variables_used
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

    channel: Channel[WorkerAnswer]
    host: str
    index: int = 0
    ready: LoadReady | None = None
    offset: Seconds = 0.0
    doubt: Seconds = math.inf
    heard: Seconds = 0.0
    reports: dict[int, SecondReport] = field(default_factory=dict)  # by their second
    last: SecondReport | None = None
    done: WorkerDone | None = None
    answer: ProbeAnswered | Flooded | None = None
    lost: bool = False
    gone: bool = False  # its connection has ended
    fault: str = ""  # what it said that it may not

    def clock(self) -> WorkerClock:
        """Who it is, and how far off its clock is."""
        pid = self.ready.pid if self.ready is not None else 0
        return WorkerClock(host=self.host, pid=pid, offset=self.offset, doubt=self.doubt)


class Fleet:
    """Commands the workers as if they were one source."""

    def __init__(self, order: OpenFleet) -> None:
        """Starts or awaits the workers, opens the question on each, and measures their clocks.
        Raises LoadFailed.
        """
        self._size = order.workers
        self._workers: list[WorkerState] = []
        self._opened = False
        self._error: LoadError | None = None
        self._changed = Event()
        self._running = False
        self._recorder = Recorder("")
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
                lambda: len(self._workers) >= self._size,
                REMOTE_JOIN_WITHIN,
                lambda: _missing(len(self._workers), self._size, listener.strangers),
                f"On each of their hosts: perfhunt worker --master {address}, with the same secret",
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
        self._opened, load = True, order.load
        share = OpenShare(
            load=msgspec.structs.replace(
                load,
                question=_of_workers(load.question),
                killswitch="",  # a file of this host; the workers are told
                in_flight=max(1, load.in_flight // self._size),
                pin=False,
            ),
            variables=_variables(load.question),
            most=load.question.safety.max_rate / self._size,
        )
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
        return merged_done(ended, len(workers), lost, epoch)

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
                return (
                    f"load worker {worker.index} on {worker.host} was lost{worker.fault}:"
                    " its share of the requests is missing"
                )
        return ""

    def stop(self, hard: bool) -> None:
        """Takes the load off, everywhere."""
        for worker in self._workers:
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
                self._recorder.add_bytes(_whole(answer.samples))
                worker.reports[answer.report.second] = worker.last = answer.report
            case WorkerDone():
                self._recorder.add_bytes(_whole(answer.samples))
                worker.done = answer
            case ProbeAnswered() | Flooded():
                worker.answer = answer
        self._changed.set()


def _of_workers(question: Question) -> Question:
    """What a worker needs of a question: not how to find the target's process, nor who may stop."""
    target = replace(question.target, process=ProcessSelector())
    return replace(question, target=target, safety=Safety(), source="")


def _variables(question: Question) -> dict[str, str]:
    """Those of the environment that the traffic names, or a locustfile's options, with their values
    here.
    """
    texts = [
        text
        for endpoint in question.traffic
        for text in (endpoint.path, endpoint.body or "", *(value for _, value in endpoint.headers))
    ]
    texts += [value for _, values in question.locust_options for value in values]
    names = {name for text in texts for name in variables_used(text)}
    return {name: os.environ[name] for name in sorted(names) if name in os.environ}


def _missing(joined: int, size: int, strangers: int) -> str:
    others = f"; {strangers} others did not know the secret" if strangers else ""
    return f"{joined} of {size} load workers joined within {REMOTE_JOIN_WITHIN:g} s{others}"


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
