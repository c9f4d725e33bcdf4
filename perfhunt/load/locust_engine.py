"""The default engine: Locust in a child process with a client of our own inside its event loop,
seen from the controller.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from perfhunt.errors import LoadFailed
from perfhunt.load.pipe import ChildDied, ChildPipe
from perfhunt.load.running_step import OVERDUE, POLL, RunningStep, SecondWatcher, Stop
from perfhunt.load.tally import ClosedTally, StepTally
from perfhunt.model.document.plain import to_plain
from perfhunt.model.question import Question
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Drain, Drained, Step, Trial, arrivals, mix
from perfhunt.model.units import PerSecond, Seconds, format_duration

READY_WITHIN: Seconds = 60.0
JOINED_WITHIN: Seconds = 180.0  # workers on other hosts are started by hand
IN_FLIGHT = 10_000
PROBE_EVERY: Seconds = 0.25
PROBE_SLACK: Seconds = 0.005  # a quick service is never exactly as quick again
AFTER_DRAIN: Seconds = 1.0


@dataclass(frozen=True, slots=True)
class Flood:
    """A closed loop at full speed: answers per second, CPU seconds of the generator per request,
    errors by their text.
    """

    rate: PerSecond
    cpu: Seconds
    errors: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class WorkerClock:
    """A load worker, and its clock against the master's: ahead by `offset`, known within
    `doubt`.
    """

    host: str
    pid: int
    offset: Seconds
    doubt: Seconds

    def __str__(self) -> str:
        ahead = "ahead" if self.offset >= 0 else "behind"
        offset, doubt = format_duration(abs(self.offset)), format_duration(self.doubt)
        return (
            f"load worker {self.pid} on {self.host}: its clock is {offset} {ahead} (within {doubt})"
            " and was corrected for"
        )


class LocustEngine:
    """Drives the load child. One instance serves one question; the child is started again if it
    dies.
    """

    name: str = "locust"
    needs: tuple[str, ...] = ()
    help: str = (
        "Locust's runner with a fast HTTP/1.1 client in its event loop (HTTP/2: use k6 or oha)"
    )

    def __init__(
        self, run: str = "", workers: int = 1, bind: str = "", addresses: Sequence[str] = ()
    ) -> None:
        """`run` marks every request sent, in User-Agent and X-Perfhunt-Run; made up when empty.

        `workers` processes share the load. They are started here, unless `bind` says at which
        HOST:PORT to wait for that many `perfhunt worker --master HOST:PORT` from other hosts. Load
        goes to `addresses` only, whatever the url's host resolves to by then; empty: to any of its
        addresses.
        """
        self.run_id = run or secrets.token_hex(4)
        self.workers = workers
        self.bind = bind
        self.addresses = tuple(addresses)
        self.pinning = ""
        self._pipe: ChildPipe | None = None
        self._number = 0
        self._usual: dict[
            int, Seconds
        ] = {}  # endpoint index -> median service before there was any trouble

    def open(self, question: Question, criteria: tuple[Criterion, ...], directory: Path) -> None:
        """Starts the child and waits until it is ready. Sends no request. Raises LoadFailed with
        the child's own reason.
        """
        self.close()
        self._question, self._criteria, self._directory = question, criteria, directory
        directory.mkdir(parents=True, exist_ok=True)
        self._number = max((int(f.stem) for f in directory.glob("[0-9]*.samples")), default=0)
        self._start()

    def _start(self) -> ChildPipe:
        self._pipe = pipe = ChildPipe(self._directory)
        try:
            pipe.send(self._opening())
            message = self._expect(pipe, "ready", READY_WITHIN if not self.bind else JOINED_WITHIN)
        except ChildDied as death:
            raise LoadFailed(str(death)) from None
        except LoadFailed:
            self.close()
            raise
        self._ready = message
        self.pinning = message["pinning"]
        return pipe

    @property
    def child_pid(self) -> int:
        """The load child's pid; 0 when there is none."""
        return self._pipe.process.pid if self._pipe is not None else 0

    @property
    def clocks(self) -> tuple[WorkerClock, ...]:
        """The workers that share the load, with their clocks; empty when there is only the child
        itself.
        """
        return tuple(WorkerClock(**worker) for worker in self._ready.get("workers", ()))

    def _opening(self) -> dict[str, Any]:
        return {
            "do": "open",
            "question": to_plain(self._question),
            "run": self.run_id,
            "deadline": self._deadline,
            "in_flight": IN_FLIGHT,
            "workers": self.workers if self.workers > 1 or self.bind else 0,
            "bind": self.bind,
            "addresses": self.addresses,
            "pin": True,
            "limit": self._limit if math.isfinite(self._limit) else None,
        }

    @property
    def _limit(self) -> Seconds:
        """The largest finite limit; infinite when no criterion has one."""
        return max((c.limit for c in self._criteria if math.isfinite(c.limit)), default=math.inf)

    @property
    def _deadline(self) -> Seconds:
        if self._question.ramp.deadline is not None:
            return self._question.ramp.deadline
        return max(2.0, 2 * self._limit) if math.isfinite(self._limit) else 2.0

    @property
    def _grace(self) -> Seconds:
        return min(self._question.ramp.timeout, 2 * self._limit)

    def _expect(self, pipe: ChildPipe, what: str, within: Seconds) -> dict[str, Any]:
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            message = pipe.receive(POLL)
            if message is not None and "failed" in message:
                raise LoadFailed(message["failed"], message.get("hint", ""))
            if message is not None and what in message:
                found: dict[str, Any] = message[what]
                return found
        raise LoadFailed(
            f"the load child said nothing for {within:g} s", f"Its log is in {self._directory}."
        )

    # one step

    def run(
        self, step: Step, watch: SecondWatcher | None = None, stop: Stop | None = None
    ) -> Trial:
        """Holds the step's rate; the trial says how it went, and whether the generator spoiled
        it.
        """
        pipe = self._pipe or self._start()
        self._number += 1
        file = f"{self._number:04d}.samples"
        due = arrivals(step.seed, step.rate, step.duration, step.arrivals)
        routes = self._ready["routes"]
        endpoint = mix(step.seed, len(due), self._ready["weights"])
        tally = StepTally(due, endpoint, self._criteria, routes, self._question.ramp.timeout)
        if self._question.ramp.loop == "closed" and self._question.locustfile is not None:
            # A closed loop has no schedule, and is never overloaded: its users wait.
            tally = ClosedTally(
                due[:0], endpoint[:0], self._criteria, routes, self._question.ramp.timeout
            )
            step = replace(step, stop_on_overload=False)
        path = self._directory / file
        path.touch(exist_ok=False)
        course = RunningStep(pipe, step, tally, path, self._grace, watch, stop)
        trial = course.follow()
        if course.died:
            self._pipe = None
        self._remember(trial)
        return trial

    def _remember(self, trial: Trial) -> None:
        """The first trial that went well says what a single request usually takes."""
        if self._usual or trial.overload or trial.invalid:
            return
        for index, name in enumerate(self._ready["routes"]):
            route = trial.routes.get(name)
            if route is not None and route.service.n >= 5 and route.service.p50 is not None:
                self._usual[index] = route.service.p50

    def flood(self, connections: int, seconds: Seconds) -> Flood:
        """Full speed in a closed loop: what the generator itself can do on this host. Never part of
        an investigation.
        """
        pipe = self._pipe or self._start()
        try:
            pipe.send({"do": "flood", "connections": connections, "seconds": seconds})
            found = self._expect(pipe, "flooded", 2 * seconds + OVERDUE)
        except ChildDied as death:
            self._pipe = None
            raise LoadFailed(str(death)) from None
        return Flood(found["rate"], found["cpu"], found["errors"])

    # drain

    def drain(self, drain: Drain, stop: Stop | None = None) -> Drained:
        """Waits until the target has answered all it owes and takes a single request as quickly as
        it used to.
        """
        began = time.monotonic()
        endpoint = self._probed_endpoint()
        allowed = 1.5 * self._usual[endpoint] + PROBE_SLACK if endpoint in self._usual else math.inf
        while (left := drain.cap - (time.monotonic() - began)) > 0:
            if stop is not None and stop():
                break
            probe = self._probe(endpoint, min(left, self._question.ramp.timeout))
            if (
                probe is not None
                and probe["orphans"] == 0
                and probe["outcome"] == 0
                and probe["service"] <= allowed
            ):
                self._pause(AFTER_DRAIN, stop)
                return Drained(time.monotonic() - began, True)
            self._pause(PROBE_EVERY, stop)
        return Drained(time.monotonic() - began, False)

    def _probed_endpoint(self) -> int:
        """The heaviest endpoint that may be asked at will, else the heaviest."""
        weights = self._ready["weights"]
        safe = [i for i, e in enumerate(self._question.traffic) if e.method in ("GET", "HEAD")]
        return max(safe or range(len(weights)), key=lambda i: float(weights[i]))

    def _probe(self, endpoint: int, timeout: Seconds) -> dict[str, Any] | None:
        pipe = self._pipe or self._start()
        try:
            pipe.send({"do": "probe", "endpoint": endpoint, "timeout": timeout})
            return self._expect(pipe, "probed", timeout + OVERDUE)
        except ChildDied:
            self._pipe = None
            return None

    def _pause(self, seconds: Seconds, stop: Stop | None) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not (stop is not None and stop()):
            time.sleep(POLL)

    def close(self) -> None:
        """Ends the child and everything it started."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
