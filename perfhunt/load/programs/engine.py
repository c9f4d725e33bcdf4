"""Other programs behind the load seam: the load child starts them and reads what they say, so that
everything else is as with our own client.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perfhunt.load.locust_engine import LocustEngine
from perfhunt.load.programs.beside import disagreement, own_doing
from perfhunt.load.programs.facts import (
    FACTS,
    PROGRAM_TAKES,
    program_rate,
    require_program,
    version_of,
)
from perfhunt.load.running_step import OVERDUE
from perfhunt.load.seam import SecondWatcher, StopSignal
from perfhunt.load.tally import Samples, StepTally
from perfhunt.model.latency import PROBED, RequestOutcome
from perfhunt.model.question import Question
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Count, Step, Trial, arrivals, mix


class ProgramEngine(LocustEngine):
    """Drives a program by way of the load child."""

    overdue = OVERDUE + PROGRAM_TAKES

    def open(
        self,
        question: Question,
        criteria: tuple[Criterion, ...],
        directory: Path,
        stop: StopSignal | None = None,
    ) -> None:
        """As LocustEngine. Raises UsageError when the program is not there, or cannot do what was
        asked.
        """
        require_program(self.name, alone=self.workers == 1 and self.bind is None)
        super().open(question, criteria, directory, stop)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Which program it is and what its figures are; then what it does not do."""
        said = f"{self.name} {version_of(self.name)}".rstrip()
        return (f"{said}: {FACTS[self.name].label}", *super().remarks)

    def run(
        self, step: Step, watch: SecondWatcher | None = None, stop: StopSignal | None = None
    ) -> Trial:
        """As LocustEngine; arrivals are evenly spaced, whatever the step asks for."""
        trial = super().run(replace(step, arrivals="uniform"), watch, stop)
        if self._question.k6_script:  # its requests are others than the probe's
            return trial
        if note := self._beside():
            notes = (*trial.generator.notes, note)
            trial = replace(trial, generator=replace(trial.generator, notes=notes))
        return replace(trial, invalid=trial.invalid or self._own_doing(trial))

    def _own_doing(self, trial: Trial) -> str:
        """Whether what broke the SLO was the program."""
        probe = trial.routes.get(PROBED)
        if probe is None:
            return ""
        words = (
            own_doing(self.name, c, trial.counts[c.name], Count(probe.response.n, over))
            for c in self._criteria
            if (over := probe.over.get(c.name)) is not None
        )
        return next(filter(None, words), "")

    def _beside(self) -> str:
        """Whether the program and our own probe found the same."""
        if self._last is None:
            return ""
        theirs, ours = (_responses(samples) for samples in self._last.counted())
        return disagreement(theirs, ours, self.name)

    def _tally(self, step: Step, closed: bool) -> StepTally:
        """What the program has due when. Our own probes beside it come as they end."""
        rate = program_rate(step.rate, self._question)
        due = arrivals(step.seed, rate, step.duration, step.arrivals)
        return StepTally(
            due=due,
            endpoint=mix(step.seed, len(due), self._ready.weights),
            criteria=self._criteria,
            routes=self._ready.routes,
            timeout=self._question.ramp.timeout,
        )


def _responses(samples: Samples) -> NDArray[np.float64]:
    """Response times of those that were answered."""
    answered = np.isin(samples["outcome"], (RequestOutcome.OK, RequestOutcome.STATUS))
    lag, service = (samples[part][answered].astype(np.float64) for part in ("lag", "service"))
    total: NDArray[np.float64] = lag + service
    return total


class K6Engine(ProgramEngine):
    """k6."""

    name = "k6"
    needs: tuple[str, ...] = ("k6",)
    help = FACTS["k6"].help


class VegetaEngine(ProgramEngine):
    """vegeta."""

    name = "vegeta"
    needs: tuple[str, ...] = ("vegeta",)
    help = FACTS["vegeta"].help
