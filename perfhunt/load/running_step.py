"""One step as it happens, seen from the controller: second-rows in, orders to stop out, a trial at
the end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from perfhunt.analysis.trial.overload import overload
from perfhunt.load.messages import LoadError, RunStep, SecondReport, StepDone, StopLoad
from perfhunt.load.pipe import ChildDied, ChildPipe
from perfhunt.load.seam import SecondWatcher, StopSignal
from perfhunt.load.tally import GeneratorSecond, Samples, StepTally
from perfhunt.load.trials import StepEnd, build_trial
from perfhunt.model.latency import SAMPLE
from perfhunt.model.trial import STOPPED, SecondRow, Step, Trial
from perfhunt.model.units import Seconds

POLL: Seconds = 0.05  # between two looks at what was heard of a stop: a tenth of what it may take
# After an order to stop; then the child is ended, so that load is off within a second.
STOPPED_WITHIN: Seconds = 0.6
OVERDUE: Seconds = 10.0  # past the time a step must be over, the child is given up


class RunningStep:
    """Follows one step. `died` says afterwards whether the child was lost with it, `lost`
    whether one of those that shared the load was.
    """

    def __init__(
        self,
        pipe: ChildPipe,
        step: Step,
        tally: StepTally,
        path: Path,
        grace: Seconds,
        watch: SecondWatcher | None,
        stop: StopSignal | None,
        overdue: Seconds = OVERDUE,
    ) -> None:
        """`path` is where the child appends raw samples; `grace` how long what is in flight at the
        end may still take; `overdue` after how long beyond that the child is given up.
        """
        self._overdue = overdue
        self._pipe, self._step, self._tally, self._grace = pipe, step, tally, grace
        self._limit = max(
            (c.limit for c in tally.criteria if math.isfinite(c.limit)), default=math.inf
        )
        self._path, self._watch = path, watch
        pipe.lifeline.listen(stop)
        self._rows: list[SecondRow] = []
        self._health: dict[int, GeneratorSecond] = {}
        self._read = 0
        self._sent = 0
        self._overload = self._stopped = ""
        self._at: Seconds = 0.0
        self.died = self.lost = False
        self._epoch = self._seconds = 0.0

    def follow(self) -> Trial:
        """Gives the order and sees it through to a trial."""
        try:
            # A locustfile may have changed the child's working directory.
            samples = str(self._path.absolute())
            self._pipe.send(RunStep(step=self._step, samples=samples, grace=self._grace))
            end = self._until_done()
        except ChildDied as death:
            self.died = True
            why = f"{STOPPED}{death}" if death.by_itself else str(death)
            end = StepEnd(self._at, self._overload, self._stopped or why)
        self._take_samples()
        rows = tuple(self._final_row(second) for second in range(math.ceil(end.seconds)))
        return build_trial(self._step, self._tally, rows, end, self._path.name, self._health)

    def requests_at(self, moments: Sequence[Seconds]) -> tuple[int | None, ...]:
        """Requests sent and unanswered at `moments` of time.monotonic, once the step is over: None
        before they counted and once the load was off, empty when the child was lost with it.
        """
        if not self._epoch:
            return ()
        times = np.asarray(moments, dtype=np.float64) - self._epoch
        counted = (times >= self._step.settle) & (times < self._seconds)
        there = self._tally.in_service_at(times)
        return tuple(int(n) if c else None for n, c in zip(there, counted, strict=True))

    def counted(self) -> tuple[Samples, Samples]:
        """Of a step that is over, the samples that count of its schedule, and those of probes
        beside it.
        """
        samples = self._tally.of_span(self._step.settle, self._seconds)
        return (
            self._tally.of_schedule(samples),
            samples[samples["endpoint"] == self._tally.probed],
        )

    def _until_done(self) -> StepEnd:
        overdue = time.monotonic() + self._step.duration + self._grace + self._overdue
        while True:
            answer = self._pipe.receive(POLL)
            if not self._stopped and (reason := self._pipe.lifeline.reason):
                self._stopped = f"{STOPPED}{reason}"  # the lifeline has told the child
                overdue = time.monotonic() + STOPPED_WITHIN
            match answer:
                case SecondReport() as report:
                    self._on_report(report)
                case StepDone() as done:
                    return self._end(done)
                case LoadError() as error:
                    raise ChildDied(f"the load child failed: {error.why}")
            # What came while this process was suspended is heard first.
            if answer is None and time.monotonic() > overdue:
                self._pipe.process.kill()
                raise ChildDied("the load child did not answer in time and was ended")

    def _end(self, done: StepDone) -> StepEnd:
        self._epoch, self._seconds, self.lost = done.epoch, done.seconds, done.lost
        if done.routes is not None:
            self._tally.routes = done.routes
        invalid = done.invalid
        if done.starved and self._step.stop_on_overload:
            # It may have been too late to see itself what had taken its CPU.
            self._overload = self._overload or overload(self._rows, self._step.rate, self._limit)
            invalid = "" if self._overload else invalid
        return StepEnd(
            seconds=done.seconds,
            overload=self._overload,
            invalid=self._stopped or invalid,
            done=done,
        )

    def _on_report(self, report: SecondReport) -> None:
        self._take_samples()
        first, self._at = len(self._rows), report.at
        # Several seconds at once when the child was held up: its account is spread over them.
        seconds = max(1, report.second + 1 - first)
        health = GeneratorSecond(
            cpu=report.cpu / seconds,
            sent=(report.sent - self._sent) // seconds,
            unanswered=report.unanswered,
            ticks=report.ticks,
        )
        for second in range(first, report.second + 1):
            self._health[second] = health
            row = self._tally.row(second, self._at, health)
            self._rows.append(row)
            if self._watch is not None:
                self._watch(row)
        self._sent = report.sent
        if self._step.stop_on_overload and not self._overload and not self._stopped:
            self._overload = overload(self._rows, self._step.rate, self._limit)
            if self._overload:
                self._pipe.send(StopLoad(hard=False))

    def _take_samples(self) -> None:
        """What the child has appended since the last look; it writes whole samples, but a killed
        one may not have.
        """
        with self._path.open("rb") as file:
            file.seek(self._read)
            content = file.read()
        whole = len(content) - len(content) % SAMPLE.itemsize
        self._read += whole
        self._tally.add(np.frombuffer(content[:whole], dtype=SAMPLE))

    def _final_row(self, second: int) -> SecondRow:
        """The row again, now that every arrival's end is known."""
        row = self._tally.row(second, math.inf, self._health.get(second, GeneratorSecond()))
        if second < len(self._rows):
            # The percentiles of that second's answers stay; what was not known then is filled in.
            first = self._rows[second]
            return replace(row, p50=first.p50, p99=first.p99, lag_p99=first.lag_p99)
        return row
