"""Ways to find a knee, each given a simulated service: perfhunt's, and those people use."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from knee_scenarios import Scenario

from perfhunt.analysis.knee.answers.shown import contradicts
from perfhunt.analysis.knee.goal import Goal, StepOrDrain, TrialOrDrained
from perfhunt.analysis.knee.search import drive, search
from perfhunt.analysis.knee.stages.descent import descend
from perfhunt.model.knee import Knee
from perfhunt.model.trial import Drain, Phase, Step, Trial
from perfhunt.testing import QueueEngine


@dataclass
class Found:
    """An answer with its cost. `low` and `high` are None where the method gives no interval; `rate`
    when it gives nothing; `contradicts` (its own trials) where there is no interval to do so.
    """

    rate: float | None
    low: float | None = None
    high: float | None = None
    load: float = 0.0
    slow: int = 0
    label: str = ""
    contradicts: bool | None = None
    aside: int = 0  # trials set aside for other work on the host


@dataclass
class Bench:
    """One simulated service under one method: counts seconds of load and slow requests, whoever
    asks.
    """

    scenario: Scenario
    seed: int
    load: float = 0.0
    slow: int = 0
    asked: int = 0
    engine: QueueEngine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = QueueEngine(self.scenario.service, (self.scenario.criterion,), self.seed)

    def ask(self, wanted: StepOrDrain) -> TrialOrDrained:
        return self._run(wanted) if isinstance(wanted, Step) else self.engine.drain(wanted)

    def trial(self, rate: float, seconds: float, settle: float = 2.0, drain: bool = True) -> Trial:
        """One step of a method of the old kind; drained afterwards unless it is told not to."""
        self.asked += 1
        seed = self.seed * 1000 + self.asked
        trial = self._run(Step(Phase.FIXED, rate, seconds, seed, settle, stop_on_overload=False))
        if drain:
            self.ask(Drain())
        return trial

    def _run(self, step: Step) -> Trial:
        trial = self.engine.run(step)
        self.load += trial.seconds
        self.slow += sum(row.exceed[0] for row in trial.rows)
        return trial

    def found(
        self,
        rate: float | None,
        low: float | None = None,
        high: float | None = None,
        label: str = "",
        contradicts: bool | None = None,
    ) -> Found:
        return Found(rate, low, high, self.load, self.slow, label, contradicts)


def answering(engine: QueueEngine) -> Callable[[StepOrDrain], TrialOrDrained]:
    """What answers a baseline, whose load no method counts."""
    return lambda wanted: engine.run(wanted) if isinstance(wanted, Step) else engine.drain(wanted)


def _scale(scenario: Scenario) -> float:
    """What the rates written for a knee near 120/s are multiplied by: nobody would try them on a
    service of another size.
    """
    return 1.0 if 20 <= scenario.knee <= 250 else scenario.knee / 120


def bad(trial: Trial) -> bool:
    """The usual rule: the step's p99 is over the limit."""
    return trial.counts["latency.p99"].share > 0.01


def perfhunt(budget: float, quick: bool = False) -> Callable[[Bench], Found]:
    def run(bench: Bench) -> Found:
        scenario = bench.scenario
        goal = Goal(
            (scenario.criterion,), start=scenario.start, budget=budget, seed=bench.seed, quick=quick
        )
        first = Step(Phase.BASELINE, scenario.start, 15.0, bench.seed, 1.0)
        down = drive(descend(goal, first), answering(bench.engine))
        result = drive(search(goal, down.floor, down.before), bench.ask)
        knee, aside = result.knee, sum(trial.set_aside for trial in result.trials)
        if isinstance(knee, Knee):
            astray = contradicts(knee, result.trials, scenario.criterion)
            found = bench.found(knee.rate, knee.low, knee.high, knee.label, astray)
        else:
            found = bench.found(None, label=knee.code)
        return replace(found, aside=aside)

    return run


def staircase(rates: tuple[float, ...], seconds: float) -> Callable[[Bench], Found]:
    """Fixed steps, p99 of each; the knee by interpolating ln p99 between the last that held and the
    first that did not.
    """

    def run(bench: Bench) -> Found:
        scale = _scale(bench.scenario)
        before: tuple[float, float] | None = None
        for rate in (r * scale for r in rates):
            trial = bench.trial(rate, seconds, drain=False)
            p99 = trial.response.p99 or 0.0
            if bad(trial):
                p99 = max(p99, 1.001 * bench.scenario.limit)
                if before is None or before[1] <= 0:
                    return bench.found(rate)
                part = (math.log(bench.scenario.limit) - math.log(before[1])) / (
                    math.log(p99) - math.log(before[1])
                )
                return bench.found(before[0] + part * (rate - before[0]))
            before = rate, min(p99, 0.999 * bench.scenario.limit)
        return bench.found(None)

    return run


def bisection(drain: bool) -> Callable[[Bench], Found]:
    """RFC 2544 section 26.1 in spirit: halve between 10 and 400/s with trials of 60 s until within
    5 %.
    """

    def run(bench: Bench) -> Found:
        scale = _scale(bench.scenario)
        low, high = 10.0 * scale, 400.0 * scale
        while high - low > 0.05 * high:
            middle = (low + high) / 2
            if bad(bench.trial(middle, 60.0, drain=drain)):
                high = middle
            else:
                low = middle
        return bench.found((low + high) / 2, None, None)

    return run


def slow_ramp(bench: Bench) -> list[tuple[float, Trial]]:
    """300 s from 10 to 200/s in steps of 5 s that nobody drains; ends when half of the requests are
    slow.
    """
    scale = _scale(bench.scenario)
    steps = []
    for i in range(60):
        rate = scale * (10 + 190 * i / 59)
        trial = bench.trial(rate, 5.0, 0.0, drain=False)
        steps.append((rate, trial))
        if trial.counts["latency.p99"].share > 0.5:
            break
    return steps


def ramp_threshold(bench: Bench) -> Found:
    """A slow ramp, stopped where the p99 of two consecutive steps is over the limit."""
    steps = slow_ramp(bench)
    for (rate, trial), (_, following) in itertools.pairwise(steps):
        if bad(trial) and bad(following):
            return bench.found(rate)
    return bench.found(steps[-1][0])


def kneedle(bench: Bench) -> Found:
    """A slow ramp, and Kneedle (Satopaa 2011, PyPI `kneed`) on its p99 against the rate."""
    from kneed import KneeLocator

    curve = [(rate, trial.response.p99) for rate, trial in slow_ramp(bench) if trial.response.p99]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        knee = KneeLocator(
            [rate for rate, _ in curve],
            [p99 for _, p99 in curve],
            curve="convex",
            direction="increasing",
        ).knee
    return bench.found(float(knee) if knee is not None else None)


METHODS: dict[str, Callable[[Bench], Found]] = {
    "perfhunt": perfhunt(600.0),
    "perfhunt, 85 s": perfhunt(85.0),
    "perfhunt --quick": perfhunt(600.0, quick=True),
    "staircase 10/50/100/200 x 120 s": staircase((10, 50, 100, 200), 120.0),
    "staircase +10 x 30 s": staircase(tuple(range(10, 310, 10)), 30.0),
    "bisection 60 s, drained": bisection(True),
    "bisection 60 s, not drained": bisection(False),
    "slow ramp": ramp_threshold,
    "slow ramp, Kneedle": kneedle,
}
