"""The state of a search: what was measured and what it cost, and how a stage asks for a trial or a
drain.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from perfhunt.analysis.knee.goal import Goal, SearchStage, trial_of
from perfhunt.analysis.knee.observed import good_answers, longest_limit, observed_capacity
from perfhunt.analysis.knee.typical import typical_seed
from perfhunt.analysis.trial.interference import disturbed
from perfhunt.model.knee import NoKneeCode
from perfhunt.model.trial import FITTED_PHASES, SET_ASIDE, Drain, Drained, Phase, Step, Trial
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
# Times as long as a backlog takes at the pace that was seen: it may be slower under load.
PATIENCE = 2.0
LONGEST_DRAIN: Seconds = 300.0  # a service that is not back by then is lost
# A p99 beyond so many medians, of so many requests: 6.6 is exponential, 19 lognormal with cv 2.
HEAVY, TAIL_LEAST = 9.0, 40
FEW_WORKERS = 3.0  # behind which one long request keeps the others waiting
# How far below the interval the knee of such a service may lie, as a logarithm, until so many
# requests were fitted: in a minute it looks like a queue with a higher knee (read off simulated
# queues with a lognormal of cv 2).
HEAVY_ROOM, HEAVY_REQUESTS = 0.37, 6000
SEEDS_APART = 100_003  # between two seeds of a user: a search never asks for so many trials


def _never(_: Trial) -> bool:
    return False


class OutOfBudget(Exception):
    """The next trial does not fit; what there is must do."""


class TargetLost(Exception):
    """The target did not come back within a drain's cap, or that could not be seen: `why`."""

    def __init__(self, why: str = "") -> None:
        super().__init__(why)
        self.why = why

    @property
    def code(self) -> NoKneeCode:
        """Whose fault it is."""
        return NoKneeCode.GENERATOR_LIMITED if self.why else NoKneeCode.TARGET_LOST

    def __str__(self) -> str:
        return self.why or "the target did not come back after an overload"


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
    above: Trial | None = None  # the lowest baseline that did not hold
    passes: int = 0  # begun
    drained: bool = False  # since the last trial
    noisy: bool = False  # no quiet time was to be had: trials are used as they are
    part: bool = False  # only a part of the traffic broke: the rest did not follow further up
    reserve: Seconds = 0.0  # of the budget, kept for the last reference
    fresh: int = 0  # trials before this one are of a service that has changed since
    aside: list[Trial] = field(default_factory=list)  # measured before it was back from an overload
    # Disturbed, and told enough for the way of the search all the same.
    kept: list[Trial] = field(default_factory=list)
    patience: Seconds = UNBOUNDED  # the budget that counts where there is none
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
        return longest_limit(self.goal.criteria)

    @property
    def heavy_room(self) -> float:
        """The factor by which the lower end of an interval is less, where a few requests take far
        longer than most and hold up the others, and little of that was seen yet; 1 elsewhere.
        By as much is the upper end more where the capacity is not known.
        """
        usual, long = self.baseline.response.p50, self.baseline.response.p99
        if not usual or not long or self.baseline.n < TAIL_LEAST or long < HEAVY * usual:
            return 1.0
        capacity, mean = observed_capacity(self.current), self.baseline.response.mean
        if capacity and mean and capacity * mean > FEW_WORKERS:
            return 1.0
        seen = sum(trial.n for trial in self.valid() if trial.step.phase in FITTED_PHASES)
        return math.exp(-HEAVY_ROOM * min(1.0, HEAVY_REQUESTS / max(1, seen)))

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
        enough: Callable[[Trial], bool] = _never,
    ) -> SearchStage[Trial]:
        """Ask for one step until it is valid and nobody else disturbed it; drain after an overload,
        since what is queued would spoil the next.

        One that others disturbed and that is `enough` all the same is not asked again: it is set
        aside, and returned. `late` is the share of requests expected over the limit, for steps
        whose arrivals are to be typical; `seed` decides them where it is given. Raises OutOfBudget
        before a step that does not fit, GeneratorLimited, HostBusy, or TargetLost.
        """
        spoiled: list[Trial] = []  # by the generator
        while len(spoiled) < ATTEMPTS:
            if seconds > self.left - (0.0 if phase is Phase.REFERENCE else self.reserve):
                raise OutOfBudget
            step = Step(
                phase=phase,
                rate=rate,
                duration=seconds,
                seed=self._seed(rate, seconds, settle, late) if seed is None else seed,
                settle=settle,
                stop_on_overload=abort,
                arrivals=self.goal.arrivals,
            )
            trial = yield from trial_of(step)
            self.trials.append(unmarked(trial))
            self.drained = False
            if hot(trial) or not abort:
                yield from self.drain()
            if self._put_aside(kept := enough(unmarked(trial))):
                if kept:
                    self.kept.append(self.trials[-1])
                    return self.trials[-1]
                yield from self.rest()
                continue
            if not self.trials[-1].invalid:
                return self.trials[-1]
            spoiled.append(self.trials[-1])
        if all(disturbed(trial.interference) for trial in spoiled):
            raise HostBusy(disturbed(spoiled[-1].interference))
        raise GeneratorLimited(spoiled[-1])

    def _put_aside(self, kept: bool) -> bool:
        """Whether the last trial does not count, for other work on the host decided it; whatever
        came of it. On a host that is hardly ever quiet they all count from then on. Raises
        OutOfBudget when waiting for quiet has taken its part, which a trial that is `kept` for the
        way of the search is none of.
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
        budget = self.goal.seconds if math.isfinite(self.goal.seconds) else self.patience
        if quiet < HARDLY * aside and aside > max(AT_FIRST, ASIDE_AT_FIRST * budget):
            self.noisy = True
            self.trials = [unmarked(trial) for trial in self.trials]
            return False
        if not kept and aside - sum(t.seconds for t in self.kept) > ASIDE * budget:
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

    @property
    def _backlog(self) -> Seconds:
        """How long the service takes for what the last trial left behind, and as much again; at
        most `LONGEST_DRAIN`.
        """
        if not self.trials:
            return 0.0
        last = self.trials[-1]
        left, pace = sum(row.sent - row.done for row in last.rows), good_answers(last)
        if left <= 0:
            return 0.0
        return min(LONGEST_DRAIN, PATIENCE * left / pace) if pace else LONGEST_DRAIN

    def drain(self, quiet: Seconds = 0.0) -> SearchStage[None]:
        """Ask for quiet until the target is as it was, and as much longer; raises TargetLost when
        it does not come back.
        """
        if not quiet and self.stumbled:
            quiet = self.quiet
        drained = yield Drain(cap=max(Drain().cap, self._backlog), quiet=quiet)
        if not isinstance(drained, Drained):
            raise TypeError(f"a drain was answered with {type(drained).__name__}, not Drained")
        self.drains.append(drained)
        self.drained = True
        if not drained.recovered:
            raise TargetLost(drained.why)
