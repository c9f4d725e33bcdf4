"""Queues whose knee theory knows, and the search driven by them in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from perfhunt.analysis.knee.goal import Goal, SearchResult, StepOrDrain, TrialOrDrained
from perfhunt.analysis.knee.search import drive, search
from perfhunt.model.knee import Knee, NoKnee
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Phase, Step, Trial
from perfhunt.testing import QueueEngine, Service, exponential

MEAN = 0.006  # seconds of service
MM1 = Service(exponential(MEAN))
P99 = Criterion("latency.p99", 0.1, 0.01)
MM1_KNEE = 1 / MEAN - 4.605 / 0.1  # P(response > L) = exp(-(mu - rate) L) = 1 %
GOAL = Goal((P99,))


class Start(NamedTuple):
    """All that a search begins with."""

    engine: QueueEngine
    goal: Goal
    baseline: Trial


def begin(goal: Goal = GOAL, service: Service = MM1) -> Start:
    """An engine with the service behind it, and its baseline."""
    engine = QueueEngine(service, goal.criteria, goal.seed)
    baseline = engine.run(Step(Phase.BASELINE, goal.start, 15.0, goal.seed, 1.0))
    return Start(engine, goal, baseline)


def answering(engine: QueueEngine) -> Callable[[StepOrDrain], TrialOrDrained]:
    """What answers a search: the engine itself."""
    return lambda ask: engine.run(ask) if isinstance(ask, Step) else engine.drain(ask)


def climb_of(goal: Goal = GOAL, service: Service = MM1) -> SearchResult:
    """The whole search of one service."""
    engine, goal, baseline = begin(goal, service)
    return drive(search(goal, baseline), answering(engine))


def knee_of(climb: SearchResult) -> Knee:
    """The knee of a climb that found one."""
    assert isinstance(climb.knee, Knee), climb.knee
    return climb.knee


def no_knee_of(climb: SearchResult) -> NoKnee:
    """The reason of a climb that found none."""
    assert isinstance(climb.knee, NoKnee), climb.knee
    return climb.knee
