"""Answers that may be no success: what is not judged by them, and when they are what was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from perfhunt.analysis.diagnosis.known.answers import (
    doubtful_answers,
    to_settle,
)
from perfhunt.analysis.diagnosis.known.answers import (
    without_doubtful as meeting_without,
)
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.knee import Knee, KneeLabel, NoKnee, NoKneeCode
from perfhunt.model.question import RequestTemplate
from perfhunt.model.slo import Judged, Judgement, Measure, Objective, judge
from perfhunt.model.traffic.parts import Expect
from perfhunt.model.trial import RouteResult, Trial
from tests.unit.trials import HELD, QUICK

HOME = RequestTemplate(name="home", method="GET", path="/")
MET = judge(Objective(Measure.LATENCY, "p99", "<=", 0.2), 0.1, 1000)
MISSED = judge(Objective(Measure.LATENCY, "p50", "<=", 0.001), 0.1, 1000)
OF_ANOTHER = judge(Objective(Measure.LATENCY, "p99", "<=", 0.2, route="other"), 0.1, 1000)
CPU = judge(Objective(Measure.RESOURCES, "cpu", "<=", 0.9), 0.1, 1)


def trial(rate: float, statuses: Mapping[int, int], sizes: Mapping[int, int] = {}) -> Trial:
    home = RouteResult(QUICK, QUICK, statuses, {"ok": 1000}, sizes=sizes)
    return replace(HELD, step=replace(HELD.step, rate=rate), routes={"home": home})


def without_doubtful(
    judged: Sequence[Judged], at: float, asked: Sequence[RequestTemplate], trials: Sequence[Trial]
) -> tuple[tuple[Judged, ...], tuple[Caution, ...]]:
    doubts = doubtful_answers(asked, trials)
    return meeting_without(judged, at, doubts), tuple(doubt.caution for doubt in doubts)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_objective_on_answers_is_met_by_redirects(status: int) -> None:
    all_kinds = (MET, MISSED, OF_ANOTHER, CPU)
    judged, (caution,) = without_doubtful(all_kinds, 10, (HOME,), [trial(10, {status: 1000})])
    assert [each.verdict for each in judged] == [
        Judgement.UNKNOWN,
        Judgement.MISSED,
        Judgement.MET,
        Judgement.MET,
    ]
    assert f"1,000 of 1,000 answers to home lead elsewhere ({status} " in judged[0].note
    assert caution.code is CautionCode.REDIRECTED
    assert f"expect = {{ status = [{status}] }}" in caution.next


def test_a_session_that_ends_in_a_redirect_to_the_login_is_told_with_where() -> None:
    trials = [trial(10, {200: 100}), trial(60, {200: 40, 302: 60}), trial(50, {302: 1000})]
    (at_10,), (caution,) = without_doubtful((MET,), 10, (HOME,), trials)
    assert at_10 == MET
    assert caution.sentence.startswith("In 2 of 3 trials, 1,060 of 1,100 answers to home")
    (at_60,), _ = without_doubtful((MET,), 60, (HOME,), trials)
    assert at_60.verdict is Judgement.UNKNOWN


@pytest.mark.parametrize(
    ("asked", "statuses"),
    [
        (HOME, {200: 1000}),
        (HOME, {200: 600, 302: 400}),  # some readers are sent on
        (HOME, {304: 1000}),  # who asks has the page already
        (HOME, {}),
        (replace(HOME, expect=Expect(status=(302,))), {302: 1000}),
        (replace(HOME, method="POST"), {303: 1000}),  # Post/Redirect/Get
    ],
)
def test_answers_as_they_should_be_are_judged(
    asked: RequestTemplate, statuses: Mapping[int, int]
) -> None:
    assert without_doubtful((MET,), 10, (asked,), [trial(10, statuses)]) == ((MET,), ())


PAGE, ERROR = 14, 7  # powers of two: 20 kB, and an error of some 200 bytes


def test_pages_that_become_short_under_load_meet_no_objective_there() -> None:
    trials = [
        trial(200, {200: 1000}, {PAGE: 600, ERROR: 400}),
        trial(10, {200: 40}, {PAGE: 40}),
        trial(20, {200: 90}, {PAGE: 60, PAGE - 1: 30}),
        trial(100, {200: 1000}, {PAGE: 990, ERROR: 10}),
    ]
    (at_20,), (caution,) = without_doubtful((MET,), 20, (HOME,), trials)
    assert at_20 == MET
    assert caution.code is CautionCode.SHORTER_ANSWERS
    assert caution.sentence.startswith("From 200/s on, up to 40 % of the answers to home are")
    (at_200,), _ = without_doubtful((MET,), 200, (HOME,), trials)
    assert at_200.verdict is Judgement.UNKNOWN


@pytest.mark.parametrize(
    "later",
    [
        {PAGE: 960, ERROR: 40},  # rare ones, which so few answers need not show
        {PAGE - 2: 1000},  # half as long as the shortest, or a little less
        {PAGE + 9: 1000},
        {},
    ],
)
def test_answers_of_other_lengths_are_another_matter(later: Mapping[int, int]) -> None:
    trials = [trial(10, {200: 100}, {PAGE: 50, PAGE - 1: 50}), trial(200, {200: 1000}, later)]
    assert without_doubtful((MET,), 200, (HOME,), trials) == ((MET,), ())


def test_too_few_answers_tell_nothing_of_how_long_one_must_be() -> None:
    trials = [trial(10, {200: 99}, {PAGE: 99}), trial(200, {200: 1000}, {ERROR: 1000})]
    assert without_doubtful((MET,), 200, (HOME,), trials) == ((MET,), ())


def test_what_is_checked_for_a_text_is_right_however_long_it_is() -> None:
    trials = [trial(10, {200: 100}, {PAGE: 100}), trial(200, {200: 1000}, {ERROR: 1000})]
    asked = replace(HOME, expect=Expect(body="<h1>"))
    assert without_doubtful((MET,), 200, (asked,), trials) == ((MET,), ())
    _, (caution,) = without_doubtful((MET,), 200, (), trials)  # of a locustfile
    assert "[[traffic]]" not in caution.next


def test_what_came_at_the_lowest_rate_itself_is_known() -> None:
    trials = [trial(10, {200: 100}, {PAGE: 100}), trial(10, {200: 100}, {PAGE: 90, ERROR: 10})]
    assert without_doubtful((MET,), 10, (HOME,), trials) == ((MET,), ())


@pytest.mark.parametrize(("short", "of", "told"), [(3, 50, False), (20, 50, True), (1, 8, False)])
def test_a_few_short_answers_of_a_few_are_chance(short: int, of: int, told: bool) -> None:
    trials = [trial(10, {200: 100}, {PAGE: 100}), trial(20, {}, {PAGE: of - short, ERROR: short})]
    _, cautions = without_doubtful((MET,), 20, (HOME,), trials)
    assert bool(cautions) is told


def test_the_next_step_is_to_settle_what_answers_are_unless_the_knee_comes_first() -> None:
    trials = [trial(10, {200: 100}, {PAGE: 100}), trial(200, {200: 1000}, {ERROR: 1000})]
    doubts = doubtful_answers((HOME,), trials)
    none = NoKnee(NoKneeCode.BUDGET, "the budget ended", low=200.0)
    knee = Knee(150.0, 140.0, 160.0, 0.9, "latency.p99", 0.1, 10.0, KneeLabel.SHARP)
    assert "a right answer contains" in to_settle(doubts, none)
    assert to_settle(doubts, knee) == ""
    assert "a right answer contains" in to_settle(doubts, replace(knee, rate=250.0))
