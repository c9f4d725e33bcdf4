"""A real service that the start rate buries: the lowest realistic load is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfhunt.analysis.knee.goal import Goal, StepOrDrain, TrialOrDrained
from perfhunt.analysis.knee.search import drive
from perfhunt.analysis.knee.stages.descent import descend
from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.question import Question, RequestTemplate, Target
from perfhunt.model.slo import Measure, Objective, Slo
from perfhunt.model.trial import Drained, Phase, Step
from tests.live.running import service
from tests.live.services.slow import SECONDS

pytestmark = pytest.mark.live

START = 10.0
LIMIT = 5 * SECONDS  # hardly ever reached at two fifths of the capacity


def test_a_service_that_cannot_do_the_start_rate_is_measured_at_one_that_it_holds(
    tmp_path: Path,
) -> None:
    with service("slow") as (_, port):
        question = Question(
            Target(f"http://127.0.0.1:{port}"),
            (RequestTemplate("page", "GET", "/"),),
            Slo((Objective(Measure.LATENCY, "p99", "<=", LIMIT),)),
        )
        engine = LocustEngine()
        engine.open(question, question.slo.criteria(), tmp_path)
        outcomes: list[TrialOrDrained] = []

        def ask(wanted: StepOrDrain) -> TrialOrDrained:
            run = engine.run(wanted) if isinstance(wanted, Step) else engine.drain(wanted)
            outcomes.append(run)
            return run

        try:
            goal = Goal(question.slo.criteria(), start=START)
            descent = drive(descend(goal, Step(Phase.BASELINE, START, 6.0, 1, 1.0)), ask)
        finally:
            engine.close()
    assert descent.before[0].step.rate == START
    assert descent.before[0].counts["latency.p99"].share > 0.1
    drained = outcomes[1]
    assert isinstance(drained, Drained)
    assert drained.recovered
    assert 0.1 < descent.floor.step.rate < 1 / SECONDS
    assert not descent.floor.overload
    assert not descent.floor.invalid
    assert descent.floor.response.p50 is not None
    assert SECONDS <= descent.floor.response.p50 < 2 * SECONDS
