"""One question's traffic, sent by another program."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import gevent
import numpy as np
from gevent.event import Event
from numpy.typing import NDArray

from perfhunt.errors import LoadFailed
from perfhunt.load.child.host import ports_in_use
from perfhunt.load.child.programs.k6 import K6
from perfhunt.load.child.programs.k6_script import MOST_USERS
from perfhunt.load.child.programs.log import ArrivalLog, ProgramPlan
from perfhunt.load.child.programs.process import RunningProgram
from perfhunt.load.child.programs.program import LoadProgram, ProgramTraffic
from perfhunt.load.child.programs.vegeta import Vegeta
from perfhunt.load.child.recorder import Recorder, SampleBuffer
from perfhunt.load.child.sender import LEAD, TICK, ReportSecond, SendCounts
from perfhunt.load.child.source import TrafficSource, unreported
from perfhunt.load.messages import (
    Flooded,
    LoadReady,
    OpenLoad,
    ProbeAnswered,
    SecondReport,
    StepDone,
)
from perfhunt.load.programs.facts import (
    LONGEST_PAUSE,
    PREPARES_WITHIN,
    probe_rate,
    program_rate,
)
from perfhunt.model.latency import PROBED, SAMPLE, RequestOutcome
from perfhunt.model.trial import Phase, Step, arrivals, feed_rows, mix
from perfhunt.model.units import Seconds

Probing: TypeAlias = "gevent.Greenlet[..., NDArray[Any]]"
PROGRAMS: Mapping[str, Callable[[ProgramTraffic], LoadProgram]] = {"k6": K6, "vegeta": Vegeta}
# What a program says comes so late at the most: k6 writes ten times a second.
READ_DELAY: Seconds = 0.3
_OVERTIME: Seconds = 5.0  # beyond a step and its grace: a program that goes on is ended
# Iterations to see by whether the service is well, and how long they take.
_FEW, _FEW_LAST = 3, 1.5
_READY_WITHIN: Seconds = 0.2  # our own client, beside it
# A program that has said nothing for so long after it was to begin is taken to be under way.
_SILENT: Seconds = 2.0


class ProgramSource:
    """See LoadGenerator. Our own client, beside the program, asks single requests and probes."""

    def __init__(self, order: OpenLoad, own: TrafficSource) -> None:
        """`own` holds the traffic of the test file. Raises LoadFailed."""
        self._question, self._own, self._payloads = order.question, own, own.payloads
        self._program = PROGRAMS[order.question.engine](
            ProgramTraffic(order.question, own.address, own.payloads, os.environ)
        )
        self._running: RunningProgram | None = None
        self._stopped_at, self._hard = math.inf, False
        self._turn = Event()
        # The longest that an arrival did something else than wait for answers, so far.
        self._pause: Seconds = 0.0
        self._tried = bool(own.payloads)  # what a script does besides waiting is known

    def ready(self) -> LoadReady:
        """What the controller must know of it."""
        ready = self._own.ready()
        return LoadReady(
            host=socket.gethostname(),
            pid=os.getpid(),
            routes=(*self._program.routes, PROBED),
            weights=(*self._program.weights, 0.0),
            pinning=ready.pinning,
            remarks=self._program.remarks,
        )

    def run(self, step: Step, grace: Seconds, recorder: Recorder, report: ReportSecond) -> StepDone:
        """Has the program send the step's arrivals; blocks until they are over. Raises LoadFailed
        when it sends none.
        """
        self._begin()
        if not self._tried:
            self._asked_by_program(LONGEST_PAUSE)
        if self._stopped_at < math.inf:
            return StepDone(seconds=0.0, epoch=time.monotonic())
        return self._send(self._plan(step, grace), step, recorder, report)

    def _begin(self) -> None:
        """What was stopped before is over."""
        self._stopped_at, self._hard = math.inf, False

    def _send(
        self, plan: ProgramPlan, step: Step, recorder: Recorder, report: ReportSecond
    ) -> StepDone:
        counts = SendCounts()
        with RunningProgram(self._program, plan, self._own.address, counts) as running:
            self._running = running
            running.begin(recorder)
            probing = self._probing(running.log, step, plan.grace)
            self._watch(running, plan, recorder, report)
        self._running = None
        now, log = time.time(), running.log
        self._pause = max(self._pause, running.paused)
        question = self._question
        failure = running.failure(question.engine, keep_text=question.keep_error_text)
        if not log.begun and self._stopped_at == math.inf:
            if probing is not None:
                probing.kill()
            raise LoadFailed(failure or f"{question.engine} sent nothing", self._try_it)
        epoch = log.epoch if log.epoch < math.inf else now
        seconds = max(0.0, min(step.duration, self._stopped_at - epoch))
        log.cut(now, seconds)
        if probing is not None:
            recorder.add_bytes(probing.get().tobytes())
        recorder.flush()
        return StepDone(
            seconds=seconds,
            epoch=epoch - time.time() + time.monotonic(),
            errors=counts.errors,
            ports_share=ports_in_use(),
            invalid=failure or self._too_many_users(plan),
            refused=running.refused,
        )

    def _too_many_users(self, plan: ProgramPlan) -> str:
        """Why users of a script that pauses may have been too few for what was due, or ""."""
        users = math.ceil(plan.rate * self._pause)
        if users <= MOST_USERS // 2:
            return ""
        return (
            f"an iteration of the script does something else than wait for {self._pause:.1f} s: at"
            f" {plan.rate:.0f}/s that takes {users:,} users, and {MOST_USERS:,} are the most here"
        )

    @property
    def _try_it(self) -> str:
        script = self._question.k6_script
        return f"k6 run {script} says more." if script else "[report] keep_error_text = true does."

    def _plan(self, step: Step, grace: Seconds) -> ProgramPlan:
        rate = program_rate(step.rate, self._question)
        due = arrivals(step.seed, rate, step.duration, "uniform")
        endpoint = mix(step.seed, len(due), self._program.weights)
        row = np.zeros(len(due), dtype=np.uint32)
        for index, payloads in enumerate(self._payloads):
            if payloads.rows > 1:
                chosen = endpoint == index
                row[chosen] = feed_rows(step.seed, len(due), payloads.rows)[chosen]
        return ProgramPlan(
            rate=rate,
            duration=step.duration,
            due=due,
            endpoint=endpoint,
            row=row,
            timeout=self._question.ramp.timeout,
            grace=grace + self._pause,
            in_flight=self._own.bound(rate) + math.ceil(rate * self._pause),
            pause=self._pause,
        )

    def _watch(
        self, running: RunningProgram, plan: ProgramPlan, recorder: Recorder, report: ReportSecond
    ) -> None:
        """Reports each second, until the program has ended or has had its time."""
        second, used, asked, began = 0, time.process_time(), False, time.time()
        while running.lives:
            self._turn.clear()
            self._turn.wait(TICK)
            now = time.time()
            if self._stopped_at < math.inf and not asked:
                asked = True
                running.ask_to_end()
            epoch = running.log.epoch
            if epoch == math.inf:  # it prepares itself, and nothing is due
                if self._hard or now > min(began + PREPARES_WITHIN, self._stopped_at + _OVERTIME):
                    running.kill()
                continue
            elapsed, last = now - epoch, min(plan.duration, self._stopped_at - epoch)
            if self._hard or elapsed > last + plan.grace + _OVERTIME:
                running.kill()
            # What has not ended may have paused so long, and not waited.
            pause = max(plan.pause, running.paused)
            known = elapsed - READ_DELAY - pause if running.lives else math.inf
            while second + 1 <= min(known, last):
                recorder.flush()
                cpu = running.cpu() + time.process_time()
                report(
                    SecondReport(
                        second=second,
                        at=min(known, last),
                        cpu=cpu - used,
                        sent=running.log.begun,
                    )
                )
                second, used = second + 1, cpu

    def _probing(self, log: ArrivalLog, step: Step, grace: Seconds) -> Probing | None:
        """Our own client's requests beside the program's, under way; None where there are none."""
        rate = probe_rate(step.rate, self._question)
        beside = replace(step, rate=rate)
        return gevent.spawn(self._probe_beside, log, beside, grace) if rate else None

    def _probe_beside(self, log: ArrivalLog, step: Step, grace: Seconds) -> NDArray[Any]:
        """The probes' samples, their times those of the program's step."""
        until = log.epoch + _SILENT
        while not log.known and time.time() < until and self._stopped_at == math.inf:
            gevent.sleep(TICK)
        begins = time.time() + _READY_WITHIN
        # Its epoch may yet turn out a little earlier.
        left = step.duration - (begins - log.epoch) - LEAD
        buffer = SampleBuffer()
        if left > 0 and self._stopped_at == math.inf:
            at = begins - time.time() + time.monotonic()
            self._own.run(replace(step, duration=left), grace, buffer, unreported, epoch=at)
        samples = np.frombuffer(buffer.take(), SAMPLE).copy()
        samples["due"] += begins - log.epoch
        samples["endpoint"] = len(self._program.routes)  # PROBED, the last
        return samples

    def stop(self, hard: bool) -> None:
        """Takes the load off."""
        self._stopped_at, self._hard = min(self._stopped_at, time.time()), self._hard or hard
        self._own.stop(hard)
        if hard and self._running is not None:
            self._running.kill()
        self._turn.set()

    def probe(self, endpoint: int, timeout: Seconds) -> ProbeAnswered:
        """A single request, by our own client; by the program where the script alone knows how."""
        self._begin()
        if self._payloads:
            return self._own.probe(min(endpoint, len(self._payloads) - 1), timeout)
        return self._asked_by_program(max(timeout, LONGEST_PAUSE))

    def _asked_by_program(self, timeout: Seconds) -> ProbeAnswered:
        """A few iterations of one user, the best of which had a connection already."""
        self._tried = True
        buffer = SampleBuffer()
        step = Step(Phase.BASELINE, _FEW / _FEW_LAST, _FEW_LAST, seed=1)
        self._send(replace(self._plan(step, timeout), in_flight=1), step, buffer, unreported)
        ended = np.frombuffer(buffer.take(), SAMPLE)
        good = ended[ended["outcome"] == RequestOutcome.OK]
        if not len(good):
            return ProbeAnswered(outcome=_outcome_of(ended), service=0.0, orphans=0)
        return ProbeAnswered(
            outcome=RequestOutcome.OK, service=float(good["service"].min()), orphans=0
        )

    def flood(self, connections: int, seconds: Seconds) -> Flooded:
        """Only our own client sends as fast as it can."""
        return self._own.flood(connections, seconds)


def _outcome_of(ended: NDArray[Any]) -> int:
    """How the last of them ended."""
    return int(ended["outcome"][-1]) if len(ended) else RequestOutcome.CUT
