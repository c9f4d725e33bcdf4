"""What a search is to find, what it may ask for, and what it gives back."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from perfhunt.model.knee import Capacity, Drift, Knee, NoKnee, RouteKnee
from perfhunt.model.question import Question
from perfhunt.model.slo import Criterion, Measure, Objective
from perfhunt.model.trial import Drain, Drained, Step, Trial
from perfhunt.model.units import PerSecond, Seconds, Share

QUICK: Seconds = 60.0  # the budget of a quick search: a minute is what a person waits for

StepOrDrain: TypeAlias = Step | Drain
TrialOrDrained: TypeAlias = Trial | Drained

StageResult = TypeVar("StageResult")
# A part of a search: it yields what to measure, is sent what came of it, and returns its result.
SearchStage: TypeAlias = Generator[StepOrDrain, TrialOrDrained, StageResult]


def trial_of(step: Step) -> SearchStage[Trial]:
    """Ask for one step. Raises TypeError when something else than a trial comes back."""
    trial = yield step
    if not isinstance(trial, Trial):
        raise TypeError(f"a step was answered with {type(trial).__name__}, not a Trial")
    return trial


@dataclass(frozen=True, slots=True)
class Goal:
    """What a search is to find. `start` is the rate the baseline was measured at; nothing above
    `max_rate` is offered.

    `budget` is seconds of load and drains together. `precision` is the half-width of the knee's
    interval, as a share of it, at which the search is content. `quick` spends at most 60 s and
    answers with a bracket.
    """

    criteria: tuple[Criterion, ...]
    start: PerSecond = 10.0
    max_rate: PerSecond = 5000.0
    budget: Seconds = 600.0
    precision: Share = 0.10
    arrivals: str = "poisson"
    seed: int = 1
    quick: bool = False
    ceiling: str = "[safety] max_rate"  # the key that sets `max_rate`
    # Objectives of CPU and memory: passes are placed where the first of them is used up.
    resources: tuple[Objective, ...] = ()

    def __post_init__(self) -> None:
        if not self.criteria:
            raise ValueError("a goal needs at least one criterion: without an SLO there is no knee")
        if not 0 < self.start <= self.max_rate:
            raise ValueError(
                f"the search cannot start at {self.start:g}/s with a ceiling of {self.max_rate:g}/s"
            )

    @property
    def seconds(self) -> Seconds:
        """The budget in force."""
        return min(self.budget, QUICK) if self.quick else self.budget


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What came of a search or a staircase, with every trial and drain it asked for, in order.

    `knee` is where the first criterion breaks; `knees` has one entry per criterion of the goal, in
    its order.
    """

    knee: Knee | NoKnee
    knees: tuple[Knee | NoKnee, ...]
    capacity: Capacity | None
    trials: tuple[Trial, ...]
    drains: tuple[Drained, ...]
    drift: Drift | None = None  # None: not looked for
    route_knees: tuple[RouteKnee, ...] = ()  # of the criterion that breaks first


Search: TypeAlias = Generator[StepOrDrain, TrialOrDrained, SearchResult]


def goal_of(
    question: Question, criteria: tuple[Criterion, ...] | None = None, quick: bool = False
) -> Goal:
    """The goal that a question sets; `criteria` default to the SLO's. Raises ValueError when the
    SLO has none.
    """
    ramp = question.ramp
    ceiling = min(question.safety.max_rate, ramp.max_rate or question.safety.max_rate)
    return Goal(
        criteria=criteria if criteria is not None else question.slo.criteria(),
        start=min(ramp.start, ceiling),
        max_rate=ceiling,
        budget=ramp.budget,
        precision=ramp.precision,
        arrivals=ramp.arrivals,
        seed=question.seed,
        quick=quick,
        ceiling="[ramp] max" if ceiling < question.safety.max_rate else "[safety] max_rate",
        resources=tuple(o for o in question.slo.objectives if o.measure is Measure.RESOURCES),
    )
