"""The default engine: Locust in a child process with a client of our own inside its event loop,
seen from the controller.
"""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from perfhunt.errors import LoadFailed, Stopped
from perfhunt.load.messages import (
    LOGIN_WITHIN,
    Flooded,
    FloodTarget,
    LoadError,
    LoadReady,
    OpenFleet,
    OpenLoad,
    ProbeAnswered,
    SendProbe,
)
from perfhunt.load.pipe import LOG, ChildDied, ChildPipe
from perfhunt.load.running_step import OVERDUE, POLL, RunningStep
from perfhunt.load.seam import SecondWatcher, StopSignal, WorkerClock
from perfhunt.load.tally import ClosedTally, StepTally
from perfhunt.load.trust.address import REMOTE_JOIN_WITHIN, master_address
from perfhunt.load.trust.grant import has_users
from perfhunt.model.latency import RequestOutcome
from perfhunt.model.question import Question
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Drain, Drained, Step, Trial, arrivals, mix
from perfhunt.model.units import Seconds, format_duration
from perfhunt.store.files import cannot_write

READY_WITHIN: Seconds = 60.0  # importing Locust and rendering a large feed included
JOINED_WITHIN: Seconds = 180.0  # workers on other hosts are started by hand
IN_FLIGHT = 10_000  # requests at most, whatever else is allowed: each holds a descriptor
DEADLINE_LEAST: Seconds = 2.0  # a pause of the service is waited out before anything is shed
PROBE_EVERY: Seconds = 0.25
# A service has recovered when it answers a probe in this multiple of the usual time, and a little,
# since a quick service is never exactly as quick again.
PROBE_FACTOR = 1.5
PROBE_SLACK: Seconds = 0.005
PROBE_SAMPLES = 5  # answers of an endpoint, from which its usual time may be taken
AFTER_DRAIN: Seconds = 1.0  # of rest: what the service still tidies up is not the next trial's

_ANSWERED = frozenset({RequestOutcome.OK, RequestOutcome.STATUS})
# Failures that are no matter of load.
_AT_ANY_LOAD = frozenset(
    {
        RequestOutcome.PROTOCOL,
        RequestOutcome.TLS,
        RequestOutcome.TOO_LARGE,
        RequestOutcome.NOT_CLEARED,
    }
)

A = TypeVar("A", LoadReady, ProbeAnswered, Flooded)


class LocustEngine:
    """Drives the load child, which is started again if it dies."""

    name: str = "locust"
    needs: tuple[str, ...] = ()
    help: str = (
        "Locust's runner with a fast HTTP/1.1 client in its event loop (HTTP/2: use a k6 script)"
    )
    overdue: Seconds = OVERDUE  # after so long beyond its time the child is given up

    def __init__(
        self,
        run: str = "",
        workers: int = 1,
        bind: str = "",
        addresses: Sequence[str] = (),
        secret: str = "",
        connects: Sequence[str] = (),
    ) -> None:
        self.run_id = run or secrets.token_hex(4)
        self.workers = workers
        self.bind = master_address(bind) if bind else None
        self._secret = secret
        self.addresses, self.connects = tuple(addresses), tuple(connects)
        self.pinning = ""
        self._pipe: ChildPipe | None = None
        self._number = 0
        # Endpoint index to its median service before there was any trouble.
        self._usual: dict[int, Seconds] = {}
        self._well: set[str] = set()  # routes that were ever answered as they should be
        self._last: RunningStep | None = None

    def open(
        self,
        question: Question,
        criteria: tuple[Criterion, ...],
        directory: Path,
        stop: StopSignal | None = None,
    ) -> None:
        """Starts the child and waits until it is ready. Sends no request but the logins. Raises
        LoadFailed with the child's own reason, Stopped.
        """
        self.close()
        self._question, self._criteria, self._directory = question, criteria, directory
        directory.mkdir(parents=True, exist_ok=True)
        self._number = max((int(f.stem) for f in directory.glob("[0-9]*.samples")), default=0)
        self._start(stop)

    def _start(self, stop: StopSignal | None = None) -> ChildPipe:
        self._pipe = pipe = ChildPipe(self._directory)
        try:
            pipe.send(self._opening())
            within = READY_WITHIN if self.bind is None else JOINED_WITHIN
            within += LOGIN_WITHIN if self._question.login is not None else 0.0
            self._ready = self._expect(pipe, LoadReady, within, stop)
        except ChildDied as death:
            raise LoadFailed(str(death)) from None
        except (LoadFailed, Stopped):
            self.close()
            raise
        self.pinning = self._ready.pinning
        return pipe

    def _living(self, stop: StopSignal | None = None) -> ChildPipe:
        """The child, started again if it has ended. Raises LoadFailed, Stopped."""
        if self._pipe is not None and not self._pipe.lives:
            self.close()
        return self._pipe or self._start(stop)

    @property
    def child_pid(self) -> int:
        """The load child's pid; 0 when there is none."""
        return self._pipe.process.pid if self._pipe is not None else 0

    @property
    def clocks(self) -> tuple[WorkerClock, ...]:
        """The workers that share the load, with their clocks; empty when there is only the child
        itself.
        """
        return self._ready.workers

    @property
    def remarks(self) -> tuple[str, ...]:
        """What of a locustfile is not done as Locust would, and what rates are of journeys."""
        return self._ready.remarks

    def _opening(self) -> OpenLoad | OpenFleet:
        switch = self._question.safety.killswitch.file
        load = OpenLoad(
            question=self._question,
            run=self.run_id,
            deadline=self._deadline,
            in_flight=IN_FLIGHT,
            limit=self._limit,
            addresses=self.addresses,
            connects=self.connects,
            killswitch=os.path.abspath(switch) if switch else "",
        )
        if self.workers == 1 and self.bind is None:
            return load
        return OpenFleet(load=load, workers=self.workers, bind=self.bind, secret=self._secret)

    @property
    def _limit(self) -> Seconds:
        """The largest finite limit; infinite when no criterion has one."""
        return max((c.limit for c in self._criteria if math.isfinite(c.limit)), default=math.inf)

    @property
    def _deadline(self) -> Seconds:
        if self._question.ramp.deadline is not None:
            return self._question.ramp.deadline
        return (
            max(DEADLINE_LEAST, 2 * self._limit) if math.isfinite(self._limit) else DEADLINE_LEAST
        )

    @property
    def _grace(self) -> Seconds:
        return min(self._question.ramp.timeout, 2 * self._limit)

    def _expect(
        self, pipe: ChildPipe, kind: type[A], within: Seconds, stop: StopSignal | None = None
    ) -> A:
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if stop is not None and (reason := stop()):
                raise Stopped(reason, "Nothing was sent to the service by then.")
            answer = pipe.receive(POLL)
            if isinstance(answer, LoadError):
                raise answer.raised
            if isinstance(answer, kind):
                return answer
        raise LoadFailed(
            f"the load child said nothing for {within:g} s", f"Its log is {LOG} of the run."
        )

    def run(
        self, step: Step, watch: SecondWatcher | None = None, stop: StopSignal | None = None
    ) -> Trial:
        """Holds the step's rate; the trial says how it went, and if the generator spoiled it.
        Raises Stopped when it was to stop before the step began.
        """
        pipe = self._living(stop)
        self._number += 1
        path = self._directory / f"{self._number:04d}.samples"
        try:
            path.touch(exist_ok=False)
        except OSError as error:
            raise cannot_write(path, error) from error
        question = self._question
        closed = has_users(question)
        # Later steps come after their journeys' thinking: before that the load is less than asked.
        lead = question.think
        step = replace(step, duration=step.duration + lead, settle=step.settle + lead)
        if closed:  # its users wait, so it is never overloaded
            step = replace(step, stop_on_overload=False)
        running = RunningStep(
            pipe=pipe,
            step=step,
            tally=self._tally(step, closed),
            path=path,
            grace=self._grace,
            watch=watch,
            stop=stop,
            overdue=self.overdue,
        )
        if reason := pipe.lifeline.reason:
            raise Stopped(reason, "No load began after that.")
        self._last, trial = running, running.follow()
        if running.died:
            self._pipe = None
        elif running.lost:  # the fleet is no longer whole; the next step has another
            self.close()
            trial = replace(trial, invalid=f"{trial.invalid}{self._awaited_again}")
        self._remember(trial)
        return trial

    @property
    def _awaited_again(self) -> str:
        if self.bind is None:
            return ""
        within = format_duration(REMOTE_JOIN_WITHIN)
        return f"; now waits up to {within} for {self.workers} x `{self.bind.worker_command}` again"

    def requests_at(self, moments: Sequence[Seconds]) -> tuple[int | None, ...]:
        """Requests of the last trial that were sent and unanswered at `moments` of time.monotonic;
        None before its requests counted and once its load was off; empty when the child was lost.
        """
        return () if self._last is None else self._last.requests_at(moments)

    def _tally(self, step: Step, closed: bool) -> StepTally:
        """What is due when, and nothing answered yet. A closed loop has no schedule."""
        rate = step.rate / self._question.requests_per_arrival
        due = arrivals(step.seed, rate, step.duration, step.arrivals)
        endpoint = mix(step.seed, len(due), self._ready.weights)
        kind, known = (ClosedTally, slice(0)) if closed else (StepTally, slice(None))
        return kind(
            due=due[known],
            endpoint=endpoint[known],
            criteria=self._criteria,
            routes=() if closed else self._ready.routes,  # a closed loop's are told at the end
            timeout=self._question.ramp.timeout,
            later=len(self._question.steps) - len(self._question.traffic),
        )

    def _remember(self, trial: Trial) -> None:
        """The first trial that went well says what a single request usually takes."""
        self._well |= {name for name, route in trial.routes.items() if route.outcomes.get("ok")}
        if self._usual or trial.overload or trial.invalid:
            return
        for index, name in enumerate(self._ready.routes):
            route = trial.routes.get(name)
            if route is None or route.service.p50 is None or route.service.n < PROBE_SAMPLES:
                continue
            self._usual[index] = route.service.p50

    def flood(self, connections: int, seconds: Seconds) -> Flooded:
        """Full speed in a closed loop: what the generator itself can do on this host. Never part of
        an investigation.
        """
        pipe = self._living()
        try:
            pipe.send(FloodTarget(connections=connections, seconds=seconds))
            return self._expect(pipe, Flooded, 2 * seconds + OVERDUE)
        except ChildDied as death:
            self._pipe = None
            raise LoadFailed(str(death)) from None

    def drain(self, drain: Drain, stop: StopSignal | None = None) -> Drained:
        """Waits until the target has answered all it owes and takes a single request as quickly as
        it used to.
        """
        began = time.monotonic()
        endpoint = self._probed_endpoint()
        # A route that fails at any load has nothing better to come back to.
        failing = self._ready.routes[endpoint] not in self._well
        good = _ANSWERED | _AT_ANY_LOAD if failing else {RequestOutcome.OK}
        allowed = PROBE_FACTOR * self._usual.get(endpoint, math.inf) + PROBE_SLACK
        why = ""
        while (left := drain.cap - (time.monotonic() - began)) > 0:
            if stop is not None and stop():
                break
            self._living(stop).lifeline.listen(stop)
            probe = self._probe(endpoint, min(left, self._question.ramp.timeout))
            why = _not_the_targets(probe)
            if (
                isinstance(probe, ProbeAnswered)
                and probe.outcome in good
                and _recovered(probe, allowed)
            ):
                self._pause(AFTER_DRAIN + drain.quiet, stop)
                return Drained(time.monotonic() - began, True)
            self._pause(PROBE_EVERY, stop)
        return Drained(time.monotonic() - began, False, why)

    def _probed_endpoint(self) -> int:
        """The heaviest endpoint that may be asked at will, else the heaviest."""
        weights = self._ready.weights
        safe = [i for i, e in enumerate(self._question.traffic) if e.method in ("GET", "HEAD")]
        return max(safe or range(len(weights)), key=lambda i: weights[i])

    def _probe(self, endpoint: int, timeout: Seconds) -> ProbeAnswered | ChildDied:
        pipe = self._living()
        try:
            pipe.send(SendProbe(endpoint=endpoint, timeout=timeout))
            return self._expect(pipe, ProbeAnswered, timeout + self.overdue)
        except ChildDied as death:
            self._pipe = None
            return death

    def _pause(self, seconds: Seconds, stop: StopSignal | None) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not (stop is not None and stop()):
            time.sleep(POLL)

    def close(self) -> None:
        """Ends the child and everything it started."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None


def _not_the_targets(probe: ProbeAnswered | ChildDied) -> str:
    """Why a probe tells nothing of the target, or ""."""
    if isinstance(probe, ChildDied):
        return f"{probe}, asked for a single request"
    if not probe.orphans or probe.idle < probe.orphans:
        return ""
    return f"{probe.idle} tasks of the locustfile had not ended, though they were in no request,"


def _recovered(probe: ProbeAnswered, allowed: Seconds) -> bool:
    """Whether all that was owed is answered, and this as quickly as it may be."""
    return probe.orphans == 0 and probe.service <= allowed
