"""Where the load is held for the profiles when no knee was found."""

from dataclasses import replace

from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.model.knee import NoKnee, NoKneeCode
from perfhunt.model.trial import Phase, Step, Trial
from perfhunt.stories.investigation import hold_rate
from tests.unit.trials import HELD

SHOWN = 40.0  # the highest rate that several trials showed to hold


def tried(rate: float, overload: str = "", invalid: str = "") -> Trial:
    return replace(HELD, step=Step(Phase.RAMP, rate, 5.0, 1), overload=overload, invalid=invalid)


def held(code: NoKneeCode, *trials: Trial) -> float:
    return hold_rate(SearchResult(NoKnee(code, "", SHOWN), (), None, trials, ()), 10.0)


def test_where_the_budget_ended_before_any_rate_failed_it_is_the_highest_that_was_tried() -> None:
    trials = tried(40.0), tried(456.0), tried(2307.0), tried(3460.0, invalid="set aside: a build")
    assert held(NoKneeCode.BUDGET, *trials) == 2307.0
    assert held(NoKneeCode.BUDGET, *trials[:2], tried(2307.0, overload="a queue grew")) == 456.0


def test_a_rate_that_was_shown_to_hold_is_taken_where_another_was_not_believed() -> None:
    assert held(NoKneeCode.HOST_BUSY, tried(40.0), tried(456.0)) == SHOWN
    assert held(NoKneeCode.BUDGET) == SHOWN
