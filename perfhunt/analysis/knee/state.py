"""The state of a search: what was measured and what it cost, and how a stage asks for a trial or a
drain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from perfhunt.analysis.knee.goal import Goal, SearchStage
from perfhunt.analysis.knee.observed import observed_capacity
from perfhunt.analysis.knee.typical import typical_seed
from perfhunt.model.trial import Drain, Drained, Phase, Step, Trial
from perfhunt.model.units import PerSecond, Seconds, Share

HOT: Share = 0.6  # of requests late: more than a p50 allows, so a backlog must have grown
HOT_LEAST = 3  # requests late, up to which that is chance
STUMBLE: Share = 0.1  # of requests late, beyond which a queue may have been long for a moment
ATTEMPTS = 3  # trials in a row that may be invalid before the generator is held to be the limit
SEEDS_APART = 100_003  # between two seeds of a user: a search never asks for so many trials


class OutOfBudget(Exception):
    """The next trial does not fit; what there is must do."""


class TargetLost(Exception):
    """The target did not come back within a drain's cap."""


class GeneratorLimited(Exception):
    """Trial after trial was invalid; the argument is the last one."""

    def __init__(self, trial: Trial) -> None:
        super().__init__(trial.invalid)
        self.trial = trial


def hot(trial: Trial) -> bool:
    """Whether a queue is likely to be left behind: called off, or so many were late that a backlog
    must have grown.
    """
    return bool(trial.overload) or any(
        count.share > HOT and count.exceed > HOT_LEAST for count in trial.counts.values()
    )


@dataclass
class SearchState:
    """Everything so far. `trials` and `drains` are in the order they were asked for; the baseline
    is not among them.
    """

    goal: Goal
    baseline: Trial
    trials: list[Trial] = field(default_factory=list)
    drains: list[Drained] = field(default_factory=list)
    passes: int = 0  # begun
    drained: bool = False  # since the last trial
    part: bool = False  # only a part of the traffic broke: the rest did not follow further up
    reserve: Seconds = 0.0  # of the budget, kept for the last reference
    fresh: int = 0  # trials before this one are of a service that has changed since
    aside: list[Trial] = field(default_factory=list)  # measured before it was back from an overload
    quiet: Seconds = 0.0  # without load, that it takes to come back from one

    @property
    def load(self) -> Seconds:
        """Seconds with load on."""
        return sum(trial.seconds for trial in self.trials)

    @property
    def spent(self) -> Seconds:
        """Seconds of load and drains, as the budget counts them."""
        return self.load + sum(drain.seconds for drain in self.drains)

    @property
    def left(self) -> Seconds:
        """Seconds of the budget that are not spent."""
        return self.goal.seconds - self.spent

    @property
    def limit(self) -> Seconds:
        """The largest latency limit of the criteria; 0 when none has one. Nothing is known of a
        request before its limit.
        """
        return max((c.limit for c in self.goal.criteria if math.isfinite(c.limit)), default=0.0)

    @property
    def current(self) -> list[Trial]:
        """Trials of the service as it is now, oldest first."""
        aside = set(map(id, self.aside))
        return [trial for trial in self.trials[self.fresh :] if id(trial) not in aside]

    def valid(self) -> list[Trial]:
        """Those of them that may be believed."""
        return [trial for trial in self.current if not trial.invalid]

    def references(self) -> list[Trial]:
        """Those of them that ask one step again and again."""
        return [trial for trial in self.valid() if trial.step.phase is Phase.REFERENCE]

    def forget(self) -> None:
        """Begin again with the latest trial: the service is not what it was before it."""
        self.fresh = len(self.trials) - 1
        self.passes, self.part = 0, False

    @property
    def stumbled(self) -> bool:
        """Whether the latest trial may have overthrown a service that is slow to come back."""
        latest = self.trials[-1]
        late = max((count.share for count in latest.counts.values()), default=0.0)
        return self.quiet > 0 and (hot(latest) or late > STUMBLE)

    def unsaturated(self) -> list[Trial]:
        """Those of them that were not overloaded on purpose."""
        return [trial for trial in self.valid() if trial.step.phase is not Phase.CAPACITY]

    def measure(
        self,
        phase: Phase,
        rate: PerSecond,
        seconds: Seconds,
        settle: Seconds = 0.0,
        abort: bool = True,
        late: Share = 0.0,
        seed: int | None = None,
    ) -> SearchStage[Trial]:
        """Ask for one step until it is valid; drain after an overload, since what is queued would
        spoil the next.

        `late` is the share of requests expected over the limit, for steps whose arrivals are to be
        typical; `seed` decides them where it is given. Raises OutOfBudget before a step that does
        not fit, GeneratorLimited, or TargetLost.
        """
        for _ in range(ATTEMPTS):
            if seconds > self.left - (0.0 if phase is Phase.REFERENCE else self.reserve):
                raise OutOfBudget
            trial = yield Step(
                phase=phase,
                rate=rate,
                duration=seconds,
                seed=self._seed(rate, seconds, settle, late) if seed is None else seed,
                settle=settle,
                stop_on_overload=abort,
                arrivals=self.goal.arrivals,
            )
            if not isinstance(trial, Trial):
                raise TypeError(f"a step was answered with {type(trial).__name__}, not a Trial")
            self.trials.append(trial)
            self.drained = False
            if hot(trial) or not abort:
                yield from self.drain()
            if not trial.invalid:
                return trial
        raise GeneratorLimited(self.trials[-1])

    def _seed(self, rate: PerSecond, seconds: Seconds, settle: Seconds, late: Share) -> int:
        """The next step's seed: whichever comes next, or one whose arrivals are typical."""
        seed = self.goal.seed * SEEDS_APART + len(self.trials)
        if not late:
            return seed
        return typical_seed(
            first=seed,
            rate=rate,
            seconds=seconds,
            settle=settle,
            law=self.goal.arrivals,
            capacity=observed_capacity(self.current),
            late=late,
        )

    def rest(self) -> SearchStage[None]:
        """Quiet, unless there was: a part of the traffic may queue while most of it is quick, and
        what is left of that would be late in the next trial, whatever its rate.
        """
        if not self.drained:
            yield from self.drain()

    def drain(self, quiet: Seconds = 0.0) -> SearchStage[None]:
        """Ask for quiet until the target is as it was, and as much longer; raises TargetLost when
        it does not come back.
        """
        if not quiet and self.stumbled:
            quiet = self.quiet
        drained = yield Drain(quiet=quiet)
        if not isinstance(drained, Drained):
            raise TypeError(f"a drain was answered with {type(drained).__name__}, not Drained")
        self.drains.append(drained)
        self.drained = True
        if not drained.recovered:
            raise TargetLost
