"""The state of a search: what was measured and what it cost, and how a stage asks for a trial or a
drain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from perfhunt.analysis.knee.goal import Goal, SearchStage
from perfhunt.analysis.knee.observed import observed_capacity
from perfhunt.analysis.knee.typical import typical_seed
from perfhunt.analysis.trial.interference import disturbed
from perfhunt.model.trial import SET_ASIDE, Drain, Drained, Phase, Step, Trial
from perfhunt.model.units import PerSecond, Seconds, Share

HOT: Share = 0.6  # of requests late: more than a p50 allows, so a backlog must have grown
HOT_LEAST = 3  # requests late, up to which that is chance
STUMBLE: Share = 0.1  # of requests late, beyond which a queue may have been long for a moment
ATTEMPTS = 3  # trials in a row that may be invalid before the generator is held to be the limit
# Of the budget: load that other work on the host may spoil while quiet is waited for; and no
# more than the second part (nor less than so many seconds) where hardly any of the load was quiet.
ASIDE, ASIDE_AT_FIRST = 0.6, 0.15
AT_FIRST: Seconds = 30.0
HARDLY: Share = 0.1  # of the load that was disturbed
UNBOUNDED: Seconds = 600.0  # the budget that is taken for one where there is none: the default's
SEEDS_APART = 100_003  # between two seeds of a user: a search never asks for so many trials


class OutOfBudget(Exception):
    """The next trial does not fit; what there is must do."""


class TargetLost(Exception):
    """The target did not come back within a drain's cap."""


class HostBusy(Exception):
    """Trial after trial was invalid, while other work kept the generator waiting; the argument says
    so.
    """


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


def unmarked(trial: Trial) -> Trial:
    """A trial as it was measured: a stored one may have been set aside."""
    return replace(trial, invalid="") if trial.set_aside else trial


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
    noisy: bool = False  # no quiet time was to be had: trials are used as they are
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
        """Ask for one step until it is valid and nobody else disturbed it; drain after an overload,
        since what is queued would spoil the next.

        `late` is the share of requests expected over the limit, for steps whose arrivals are to be
        typical; `seed` decides them where it is given. Raises OutOfBudget before a step that does
        not fit, GeneratorLimited, HostBusy, or TargetLost.
        """
        spoiled: list[Trial] = []  # by the generator
        while len(spoiled) < ATTEMPTS:
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
            self.trials.append(unmarked(trial))
            self.drained = False
            if hot(trial) or not abort:
                yield from self.drain()
            if self._put_aside():
                yield from self.rest()
                continue
            if not self.trials[-1].invalid:
                return self.trials[-1]
            spoiled.append(self.trials[-1])
        if all(disturbed(trial.interference) for trial in spoiled):
            raise HostBusy(disturbed(spoiled[-1].interference))
        raise GeneratorLimited(spoiled[-1])

    def _put_aside(self) -> bool:
        """Whether the last trial does not count, for other work on the host decided it; whatever
        came of it. On a host that is hardly ever quiet they all count from then on. Raises
        OutOfBudget when waiting for quiet has taken its part.
        """
        trial = self.trials[-1]
        why = disturbed(trial.interference)
        if self.noisy or not why or trial.stopped:
            return False
        # What the generator spoiled has its own mark, and is not held against it here.
        if not trial.invalid:
            self.trials[-1] = replace(trial, invalid=f"{SET_ASIDE}{why}")
        # A baseline that is disturbed was waited for in vain already.
        lost = [t for t in self.trials if t.invalid]
        lost += [] if self.baseline.invalid else [self.baseline]
        aside = sum(t.seconds for t in lost if disturbed(t.interference))
        quiet = sum(t.seconds for t in self.valid())
        budget = self.goal.seconds if math.isfinite(self.goal.seconds) else UNBOUNDED
        if quiet < HARDLY * aside and aside > max(AT_FIRST, ASIDE_AT_FIRST * budget):
            self.noisy = True
            self.trials = [unmarked(trial) for trial in self.trials]
            return False
        if aside > ASIDE * budget:
            raise OutOfBudget
        return True

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
