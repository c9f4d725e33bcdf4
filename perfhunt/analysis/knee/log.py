"""The running account of a climb: what was asked, what came back, what it cost; and how a phase
asks for a trial.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field

from perfhunt.analysis.knee.fit import capacity_seen
from perfhunt.analysis.knee.goal import Ask, Goal, Observation
from perfhunt.analysis.knee.typical import typical_seed
from perfhunt.model.trial import Drain, Drained, Phase, Step, Trial
from perfhunt.model.units import PerSecond, Seconds, Share

HOT = 0.6  # share of requests late: more than a p50 allows
ATTEMPTS = 3  # trials in a row that may be invalid before the generator is held to be the limit


class OutOfBudget(Exception):
    """The next trial does not fit; what there is must do."""


class TargetLost(Exception):
    """The target did not come back within a drain's cap."""


class GeneratorLimited(Exception):
    """Trial after trial was invalid; the argument is the last one."""

    def __init__(self, trial: Trial) -> None:
        super().__init__(trial.invalid)
        self.trial = trial


Asking = Generator[Ask, Observation, Trial]
Doing = Generator[Ask, Observation, None]


def hot(trial: Trial) -> bool:
    """Whether a queue is likely to be left behind: called off, or so many were late that a backlog
    must have grown.
    """
    return bool(trial.overload) or any(
        count.share > HOT and count.exceed > 3 for count in trial.counts.values()
    )


@dataclass
class Log:
    """Everything so far. `trials` and `drains` are in the order they were asked for; the baseline
    is not among them.
    """

    goal: Goal
    baseline: Trial
    trials: list[Trial] = field(default_factory=list)
    drains: list[Drained] = field(default_factory=list)
    passes: int = 0  # begun
    rested: bool = False  # drained since the last trial

    @property
    def load(self) -> Seconds:
        """Seconds with load on."""
        return sum(trial.seconds for trial in self.trials)

    @property
    def spent(self) -> Seconds:
        """Seconds of load and drains, as the budget counts them."""
        return self.load + sum(drain.seconds for drain in self.drains)

    @property
    def limit(self) -> Seconds:
        """The largest latency limit of the criteria; 0 when none has one. Nothing is known of a
        request before its limit.
        """
        return max((c.limit for c in self.goal.criteria if math.isfinite(c.limit)), default=0.0)

    @property
    def left(self) -> Seconds:
        return self.goal.seconds - self.spent

    def valid(self) -> list[Trial]:
        """Trials that may be believed, oldest first."""
        return [trial for trial in self.trials if not trial.invalid]

    def measure(
        self,
        phase: Phase,
        rate: PerSecond,
        seconds: Seconds,
        settle: Seconds = 0.0,
        abort: bool = True,
        late: Share = 0.0,
    ) -> Asking:
        """Ask for one step until it is valid; drain after an overload, since what is queued would
        spoil the next.

        `late` is the share of requests expected over the limit, for steps whose arrivals are to be
        typical. Raises OutOfBudget before a step that does not fit, GeneratorLimited, or
        TargetLost.
        """
        for _ in range(ATTEMPTS):
            if seconds > self.left:
                raise OutOfBudget
            seed = self.goal.seed * 100_003 + len(self.trials)
            if late:
                seed = typical_seed(
                    seed,
                    rate,
                    seconds,
                    settle,
                    self.goal.arrivals,
                    capacity_seen(self.trials),
                    late,
                )
            step = Step(phase, rate, seconds, seed, settle, abort, self.goal.arrivals)
            outcome = yield step
            if not isinstance(outcome, Trial):
                raise TypeError(f"a step was answered with {type(outcome).__name__}, not a Trial")
            trial = outcome
            self.trials.append(trial)
            self.rested = False
            if hot(trial) or not abort:
                yield from self.drain()
            if not trial.invalid:
                return trial
        raise GeneratorLimited(self.trials[-1])

    def drain(self) -> Doing:
        """Ask for quiet until the target is as it was; raises TargetLost when it does not come
        back.
        """
        drained = yield Drain()
        if not isinstance(drained, Drained):
            raise TypeError(f"a drain was answered with {type(drained).__name__}, not Drained")
        self.drains.append(drained)
        self.rested = True
        if not drained.recovered:
            raise TargetLost
