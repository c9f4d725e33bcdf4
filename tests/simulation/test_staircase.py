"""The classic ramp, climbed by a queue whose knee theory knows."""

from __future__ import annotations

from perfhunt.analysis.knee.search import drive, replay
from perfhunt.analysis.knee.staircase import staircase, step_verdict
from perfhunt.model.question import DEFAULT_STAIRCASE, Plateau
from perfhunt.model.slo import Judgement
from tests.simulation.queues import MM1_KNEE, P99, answering, begin, knee_of


def test_a_staircase_gives_a_verdict_per_step_and_the_gap_between_them() -> None:
    engine, goal, baseline = begin()
    climb = drive(staircase(goal, DEFAULT_STAIRCASE, baseline), answering(engine))
    verdicts = [step_verdict(trial, P99) for trial in climb.trials]
    assert verdicts == [Judgement.MET, Judgement.MET, Judgement.MET, Judgement.MISSED]
    knee = knee_of(climb)
    assert (knee.low, knee.high, knee.label) == (100, 200, "bracket")


def test_a_staircase_with_close_steps_gives_an_interval() -> None:
    engine, goal, baseline = begin()
    plateaus = tuple(Plateau(rate, 60.0) for rate in (100, 110, 120, 130, 140))
    knee = knee_of(drive(staircase(goal, plateaus, baseline), answering(engine)))
    assert knee.sharpness is not None
    assert knee.low <= MM1_KNEE <= knee.high


def test_replaying_a_staircase_finds_the_same_climb() -> None:
    engine, goal, baseline = begin()
    live = drive(staircase(goal, DEFAULT_STAIRCASE, baseline), answering(engine))
    assert replay(staircase(goal, DEFAULT_STAIRCASE, baseline), live.trials, live.drains) == live
