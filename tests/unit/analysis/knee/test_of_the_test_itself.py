"""What a locustfile or the generator did is not told as the service's: drawn by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.knee.answers.answer import answer
from perfhunt.analysis.knee.answers.failures import failures_of
from perfhunt.analysis.knee.answers.own_time import own_words
from perfhunt.analysis.knee.goal import Goal
from perfhunt.analysis.knee.observed import completions
from perfhunt.analysis.knee.refused import refused_at_baseline
from perfhunt.analysis.knee.search import drive
from perfhunt.analysis.knee.stages.descent import descend
from perfhunt.analysis.knee.stages.ramp import Bracket
from perfhunt.analysis.knee.state import SearchState
from perfhunt.model.knee import NoKnee, NoKneeCode
from perfhunt.model.latency import Latency, TaskTime
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import SET_ASIDE, Count, Drained, Phase, Step, Trial
from tests.unit.analysis.diagnosis.field import trial
from tests.unit.trials import CALM_SECOND, HELD

P99 = Criterion("latency.p99", 0.3, 0.01)
GOAL = Goal(criteria=(P99,))
# 23 tasks that each take 512 ms, 10 ms of it in two requests.
THINKS = TaskTime("U.t", n=23, seconds=23 * 0.512, requests=46, asked=23 * 0.010)
RAISED = "U.t: ValueError at locustfile.py:6 in t"
LOST = "the load child ended with code 7"


def baseline(n: int, late: int, took: float, *tasks: TaskTime, rate: float = 10.0) -> Trial:
    latency = Latency(n=n, p50=took, p90=took, p95=took, p99=took, mean=took, max=took)
    return replace(
        HELD,
        step=Step(Phase.BASELINE, rate, 10.0, seed=1),
        counts={P99.name: Count(n, late)},
        response=latency,
        service=latency,
        outcomes={"ok": n},
        generator=replace(HELD.generator, tasks=tasks),
    )


def raising(n: int = 60) -> Trial:
    """Every task raises once it was answered 200."""
    route = trial(10.0, 0.01, {200: n}).routes["GET /"]
    return replace(
        baseline(n, n, 0.01, TaskTime("U.t", n, n * 0.01, n, n * 0.009)),
        outcomes={"status": n},
        routes={"U.t": replace(route, outcomes={"status": n})},
        generator=replace(HELD.generator, mishaps={RAISED: n + 9, "U.t: KeyError": 2}),
    )


def why(*tried: Trial) -> NoKnee:
    found = refused_at_baseline(GOAL, tried[-1], tried[:-1])
    assert found is not None
    return found


def test_a_task_that_sleeps_is_slow_by_itself() -> None:
    found = why(baseline(23, 23, 0.512, THINKS))
    assert found.code is NoKneeCode.TEST_ITSELF
    assert "100 % of 23 tasks" in found.reason
    assert found.reason.endswith(
        "U.t takes 512 ms on average, of which 10 ms in its 2 requests: the rest is the"
        " locustfile's own (a sleep, a lock?)"
    )


def test_a_task_that_asks_nothing_says_so() -> None:
    assert "of which none in a request" in own_words(replace(THINKS, requests=0, asked=0.0))


@pytest.mark.parametrize(
    "asked",
    [
        23 * 0.500,  # the service's own time
        23 * 0.301,  # slower than the limit in its requests alone
    ],
)
def test_a_slow_service_is_not_told_as_the_locustfiles(asked: float) -> None:
    slow = replace(THINKS, asked=asked, seconds=23 * 0.7)
    assert why(baseline(23, 23, 0.7, slow)).code is NoKneeCode.MISSED_AT_BASELINE


def test_a_slow_task_is_tried_at_no_lower_rate() -> None:
    asked: list[float] = []

    def measure(each: object) -> Trial | Drained:
        assert isinstance(each, Step)
        asked.append(each.rate)
        return replace(baseline(23, 23, 0.512, THINKS, rate=each.rate), step=each)

    step = Step(Phase.BASELINE, 10.0, 3.0, seed=1)
    floor = drive(descend(GOAL, step), measure).floor
    assert asked == [10.0] and floor.step.rate == 10.0
    raised = drive(descend(GOAL, step), lambda _: raising())
    assert raised.trials == (raising(),) and raised.drains == ()


def test_what_a_task_raised_is_the_reason_and_no_status() -> None:
    found = failures_of([raising()], None)
    assert found is not None and found.mishap == RAISED
    assert str(found) == (
        f"from 10/s on 100 % of tasks fail by themselves, not by an answer: {RAISED}"
    )
    assert why(raising()).code is NoKneeCode.TEST_ITSELF
    assert RAISED in why(raising()).reason and "200" not in why(raising()).reason


def test_an_answer_that_is_an_error_stays_the_services() -> None:
    answered = trial(130.0, 0.011, {200: 700, 503: 300})
    noted = replace(answered, generator=replace(answered.generator, mishaps={RAISED: 400}))
    found = failures_of([noted], None)
    assert found is not None and found.mishap == "" and "are answered 503" in str(found)


def test_a_few_mishaps_among_answers_that_were_not_expected_are_not_the_reason() -> None:
    expected = replace(raising(), generator=replace(HELD.generator, mishaps={"a stray byte": 3}))
    found = failures_of([expected], None)
    assert found is not None and "are answered 200" in str(found)


def test_the_generators_fault_wins_over_the_services() -> None:
    late = "half of the requests were sent more than 1.38 s late"
    slow = replace(baseline(35, 35, 2.95), invalid=late, overload="10 requests in flight at 10/s")
    found = why(slow)
    assert found.code is NoKneeCode.GENERATOR_LIMITED
    assert late in found.reason and "in flight" not in found.reason


def test_a_baseline_of_which_nothing_is_left_is_not_searched_from() -> None:
    assert why(replace(baseline(0, 0, 0.0), invalid=LOST)).code is NoKneeCode.GENERATOR_LIMITED
    assert refused_at_baseline(GOAL, replace(baseline(60, 0, 0.01), invalid=LOST)) is None


def state(*trials: Trial) -> SearchState:
    return SearchState(GOAL, baseline(60, 0, 0.01), [*trials])


@pytest.mark.parametrize(
    ("invalid", "code"),
    [(LOST, "generator-limited"), (f"{SET_ASIDE}other work on this host (k6)", "host-busy")],
)
def test_a_budget_that_ended_without_a_trial_to_believe_says_why(invalid: str, code: str) -> None:
    spoiled = replace(baseline(20, 20, 1.0, rate=80.0), invalid=invalid)
    found = answer(state(spoiled, spoiled), Bracket(10.0, None)).knee
    assert isinstance(found, NoKnee) and found.code == code
    assert found.reason == (
        "the budget ended with nothing that can be believed of each of the last 2 trials, up to"
        f" 80/s: {invalid.removeprefix(SET_ASIDE)}"
    )
    held = replace(baseline(20, 0, 0.01, rate=40.0), step=Step(Phase.RAMP, 40.0, 4.0, seed=1))
    after = answer(state(held, spoiled), Bracket(40.0, None)).knee
    assert isinstance(after, NoKnee) and after.code is NoKneeCode.BUDGET and "80/s" in after.reason


def burst(refused: int) -> Trial:
    """Eight counted seconds at 50/s, of which so many are refused at once."""
    rows = tuple(
        replace(CALM_SECOND, second=s, done=50, failed=round(refused / 8)) for s in range(8)
    )
    return replace(
        HELD,
        step=Step(Phase.CAPACITY, 50.0, 8.0, seed=1),
        seconds=8.0,
        completed=50.0,
        counts={P99.name: Count(400, refused)},
        outcomes={"ok": 400 - refused, "status": refused},
        rows=rows,
    )


def test_a_limiters_capacity_is_its_good_answers() -> None:
    assert completions(burst(160)) == pytest.approx(30.0)  # 20 of 50 a second are refused
    found = answer(state(burst(160)), Bracket(10.0, None)).capacity
    assert found is not None and not found.at_least
    assert found.rate == pytest.approx(30.0) and found.high == pytest.approx(30.0)


def test_a_service_that_answers_all_but_a_few_kept_up() -> None:
    assert completions(burst(8)) is None
    found = answer(state(burst(8)), Bracket(10.0, None)).capacity
    assert found is not None and found.at_least and found.rate == pytest.approx(49.0)
