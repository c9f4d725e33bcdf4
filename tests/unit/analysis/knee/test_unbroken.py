"""A search that ended before any rate failed says how far the service held, with its doubt."""

from __future__ import annotations

from dataclasses import replace

from perfhunt.analysis.knee.answers.answer import answer
from perfhunt.analysis.knee.goal import Goal
from perfhunt.analysis.knee.search import drive, search
from perfhunt.analysis.knee.stages.ramp import Bracket
from perfhunt.analysis.knee.state import SearchState
from perfhunt.model.knee import NoKnee, NoKneeCode
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Count, Drained, Phase, Step, Trial
from tests.unit.trials import HELD

P99 = Criterion("latency.p99", 0.3, 0.01)
START = Bracket(10.0, None)


def tried(rate: float, n: int, beyond: int = 0, invalid: str = "") -> Trial:
    step = Step(Phase.RAMP, rate, 5.0, seed=1)
    return replace(HELD, step=step, counts={P99.name: Count(n, beyond)}, invalid=invalid)


def told(*trials: Trial) -> NoKnee:
    found = answer(SearchState(Goal(criteria=(P99,)), HELD, [*trials]), START).knee
    assert isinstance(found, NoKnee) and found.code is NoKneeCode.BUDGET
    return found


def test_the_highest_rate_that_held_is_told_with_what_its_requests_leave_open() -> None:
    found = told(tried(20.0, 80), tried(80.0, 150), tried(80.0, 149))
    assert found.low == 80.0
    # The rule of three: none of 299 leaves 1 % at 95 %, by 0.99^299 = 0.0495.
    assert found.reason == (
        "the budget ended before any rate failed; 80/s held (0 of 299 requests beyond latency.p99:"
        " at most 0.997 % at 95 %, where 1 % may be)"
    )


def test_too_few_requests_show_no_more_than_that_it_seemed_to_hold() -> None:
    assert "; 80/s seemed to hold (0 of 298 requests" in told(tried(80.0, 298)).reason


def test_a_rate_with_more_beyond_the_limit_than_may_be_did_not_hold() -> None:
    found = told(tried(40.0, 500), tried(80.0, 100, 2))
    assert found.low == 40.0
    assert "; 40/s held (0 of 500" in found.reason
    assert found.reason.endswith("; the highest that was tried is 80/s")


def test_what_could_not_be_believed_takes_nothing_from_what_held() -> None:
    found = told(tried(40.0, 500), tried(80.0, 500, invalid="the load child ended"))
    assert found.low == 40.0
    assert found.reason.startswith("the budget ended with nothing that can be believed of")
    assert "the load child ended; 40/s held (0 of 500" in found.reason


def test_where_the_generator_ends_a_search_what_held_before_is_kept() -> None:
    def measure(ask: object) -> Trial | Drained:
        if not isinstance(ask, Step):
            return Drained(0.0, True)
        late = "sent late" if ask.rate > 40.0 else ""
        return replace(tried(ask.rate, 500, invalid=late), step=ask)

    found = drive(search(Goal(criteria=(P99,)), tried(10.0, 500)), measure).knee
    assert isinstance(found, NoKnee) and found.code is NoKneeCode.GENERATOR_LIMITED
    assert found.low == 40.0
