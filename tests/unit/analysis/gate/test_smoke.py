"""A smoke's verdict on samples whose answer is known: met, missed, or too little seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from perfhunt.analysis.gate.sample import needed
from perfhunt.analysis.gate.smoke import (
    LONGEST,
    SHORTEST,
    asked_of,
    broken_by,
    judge_smoke,
    length_words,
    smoke_step,
)
from perfhunt.model.knee import NoKneeCode
from perfhunt.model.latency import summarise
from perfhunt.model.question import Question, Ramp, Target
from perfhunt.model.slo import Judged, Judgement, Measure, Objective, Slo, SmokeLoad, overall
from perfhunt.model.trial import Count, Interference, RouteResult, SecondRow, Trial
from tests.unit.trials import CALM_SECOND, HELD

LIMIT = 0.1
P99 = Objective(Measure.LATENCY, "p99", "<=", LIMIT)
FAILS = Objective(Measure.ERRORS, "http_5xx", "<", 0.001)
SLO = Slo((P99, FAILS))
SECONDS = 30


def seen(late: Sequence[int] = (), n: int = 300, failed: int = 0, slow: float = 1.0) -> Trial:
    """A trial of n requests over 30 seconds, of which those at the indices `late` took `slow`
    seconds and the others 10 ms; `failed` were answered with 503.
    """
    responses = np.full(n, 0.01)
    responses[list(late)] = slow
    each = n // SECONDS
    rows: list[SecondRow] = []
    for second in range(SECONDS):
        mine = range(second * each, (second + 1) * each)
        exceed = sum(i in mine for i in late) + (failed // SECONDS)
        rows.append(replace(CALM_SECOND, second=second, due=each, exceed=(exceed, exceed)))
    latency = summarise(responses)
    route = RouteResult(
        latency, latency, {200: n - failed, 503: failed}, {"ok": n - failed, "status": failed}
    )
    return replace(
        HELD,
        step=replace(smoke_step(QUESTION), settle=0.0, rate=n / SECONDS),
        counts={P99.name: Count(n, len(late) + failed), FAILS.name: Count(n, failed)},
        response=latency,
        service=latency,
        outcomes={"ok": n - failed, "status": failed},
        routes={"page": route},
        rows=tuple(rows),
        achieved=n / SECONDS,
        completed=n / SECONDS,
    )


QUESTION = Question(Target("http://127.0.0.1:1"), (), SLO, Ramp(start=10.0))


def judged(trial: Trial, slo: Slo = SLO, known: bool = True) -> dict[str, Judged]:
    responses = np.full(trial.n, 0.01)
    late = trial.counts[P99.name].exceed
    responses[trial.n - late :] = trial.response.max or 0.0
    asked = asked_of(slo, trial.step.rate)
    each = judge_smoke(slo, asked.judged, trial, responses if known else np.empty(0))
    return {j.objective.name: j for j in each}


def verdict(trial: Trial, slo: Slo = SLO) -> Judgement:
    return overall(tuple(judged(trial, slo).values()))


def test_nothing_over_the_limit_is_met_and_what_that_shows_stands_beside_it() -> None:
    by = judged(seen())
    assert verdict(seen()) is Judgement.MET
    assert f"{needed(0.01)} requests would bound it" in by[P99.name].note
    assert "at most 1.22 %" in by[FAILS.name].note
    assert "p99 is 10 ms to 10 ms (95 %)" in judged(seen(n=390))[P99.name].note


def test_every_request_late_is_missed() -> None:
    assert judged(seen(range(300)))[P99.name].verdict is Judgement.MISSED


def test_one_in_ten_late_all_along_is_missed() -> None:
    assert judged(seen(range(0, 300, 10)))[P99.name].verdict is Judgement.MISSED


def test_one_more_than_is_allowed_is_not_known() -> None:
    by = judged(seen((10, 90, 170, 250)))
    assert by[P99.name].verdict is Judgement.UNKNOWN
    assert "chance" in by[P99.name].note and "4 of 300" in by[P99.name].note


def test_one_stall_is_a_single_burst_and_proves_nothing() -> None:
    assert judged(seen(range(100, 110)))[P99.name].verdict is Judgement.UNKNOWN


def test_all_requests_refused_are_missed_however_few_they_were() -> None:
    by = judged(seen(n=30, failed=30))
    assert by[FAILS.name].verdict is Judgement.MISSED
    assert broken_by(seen(n=30, failed=30), Judgement.MISSED).code is NoKneeCode.ERRORS_AT_ONCE


def test_one_failure_where_a_thousandth_may_fail_is_not_known_and_three_are_missed() -> None:
    assert judged(seen(failed=1))[FAILS.name].verdict is Judgement.UNKNOWN
    assert judged(seen(failed=3))[FAILS.name].verdict is Judgement.MISSED


def test_fewer_requests_than_the_slo_asks_for_are_no_pass() -> None:
    by = judged(seen(n=90))
    assert {j.verdict for j in by.values()} == {Judgement.UNKNOWN}
    assert "only 90" in by[P99.name].note


def test_no_requests_at_all_are_no_pass() -> None:
    none = summarise(np.empty(0))
    empty = replace(seen(), response=none, routes={}, rows=(), counts={P99.name: Count(0, 0)})
    assert verdict(empty) is Judgement.UNKNOWN


def test_a_trial_that_the_generator_spoiled_says_nothing() -> None:
    assert verdict(replace(seen(range(300)), invalid="too late")) is Judgement.UNKNOWN


def test_an_slo_that_counts_no_failures_is_missed_by_a_service_that_refuses() -> None:
    slo = Slo((Objective(Measure.RESOURCES, "oom_kills", "<=", 0.0),))
    asked = asked_of(slo, 10.0)
    assert [o.name for o in asked.judged] == ["resources.oom_kills", "errors.any"]
    assert verdict(seen(failed=300), slo) is Judgement.MISSED


def test_an_slo_on_5xx_alone_is_missed_by_a_service_that_hangs_up() -> None:
    slo = Slo((FAILS,))
    hung_up = replace(
        seen(failed=300),
        outcomes={"reset": 300},
        routes={"page": replace(seen().routes["page"], statuses={}, outcomes={"reset": 300})},
    )
    by = judged(hung_up, slo)
    assert by[FAILS.name].verdict is Judgement.MET
    assert by["errors.any"].verdict is Judgement.MISSED
    half = Objective(Measure.ERRORS, "http_4xx", "<", 0.5)
    assert asked_of(Slo((half,)), 10.0).judged[1].limit == 0.5
    some = Objective(Measure.ERRORS, "any", "<", 0.2)
    assert asked_of(Slo((some,)), 10.0).judged == (some,)


def test_what_a_smoke_cannot_ask_is_left_out_and_alone_is_no_pass() -> None:
    growth = Objective(Measure.RESOURCES, "memory_growth", "<=", 1.0)
    more = Objective(Measure.THROUGHPUT, "sustained", ">=", 300.0)
    less = Objective(Measure.THROUGHPUT, "sustained", ">=", 5.0)
    assert asked_of(Slo((P99, growth, more)), 10.0).left == (growth, more)
    assert asked_of(Slo((P99, less)), 10.0).left == ()
    assert overall(()) is Judgement.UNKNOWN


def test_a_throughput_is_met_by_answers_to_all_that_was_sent() -> None:
    slo = Slo((Objective(Measure.THROUGHPUT, "sustained", ">=", 10.0), P99))
    by_chance = replace(seen(), achieved=9.7, completed=9.7)
    assert judged(by_chance, slo)["throughput.sustained"].verdict is Judgement.MET
    behind = replace(seen(), completed=8.0)
    assert judged(behind, slo)["throughput.sustained"].verdict is Judgement.MISSED


@pytest.mark.parametrize(("waited", "word"), [(4.0, Judgement.UNKNOWN), (0.4, Judgement.MISSED)])
def test_a_miss_is_excused_by_other_work_as_far_as_that_explains_it(
    waited: float, word: Judgement
) -> None:
    """300 requests, each 0.9 s late: 270 s in all; 120 core-seconds were waited for, or 12."""
    busy = Interference(30.0, cores=2.0, target_ran=0.1, target_waited=waited)
    assert judged(replace(seen(range(300)), interference=busy))[P99.name].verdict is word
    stolen = replace(busy, steal=0.5)
    assert judged(replace(seen(range(300)), interference=stolen))[P99.name].verdict is (
        Judgement.UNKNOWN
    )
    refusing = judged(replace(seen(failed=300), interference=busy))
    assert refusing[FAILS.name].verdict is Judgement.MISSED


def test_without_raw_samples_the_share_stands_for_the_percentile() -> None:
    assert "at most 1.22 % of all (95 %)" in judged(seen(), known=False)[P99.name].note


def test_a_smoke_lasts_as_its_slo_needs_within_a_minute() -> None:
    step = smoke_step(QUESTION)
    assert (step.rate, SHORTEST < step.duration < LONGEST) == (10.0, True)
    assert smoke_step(replace(QUESTION, ramp=Ramp(start=1.0))).duration == LONGEST
    assert smoke_step(replace(QUESTION, ramp=Ramp(start=100.0))).duration == SHORTEST
    named = replace(QUESTION, smoke=SmokeLoad(rate=2.0, duration=6.0))
    assert (smoke_step(named).rate, smoke_step(named).duration, smoke_step(named).settle) == (
        2,
        6,
        1,
    )
    assert smoke_step(replace(QUESTION, slo=replace(SLO, at_load=50.0))).rate == 50.0


def words_of(question: Question) -> str:
    return length_words(question, smoke_step(question))


def test_how_long_a_smoke_takes_is_said_with_what_decides_it() -> None:
    # ln 0.025 / ln 0.99 = 367.04: the least n of which none over the limit bounds the p99.
    assert words_of(QUESTION) == "for 52.8 s: its p99 needs 368 requests"
    slow = replace(QUESTION, ramp=Ramp(start=1.0))
    assert words_of(slow) == "for 60 s, the longest: its p99 needs 368 requests"
    assert words_of(replace(QUESTION, ramp=Ramp(start=100.0))) == "for 30 s, the shortest"
    named = replace(QUESTION, smoke=SmokeLoad(duration=6.0))
    assert words_of(named) == "for 6 s, as [smoke] asks"
    many = replace(QUESTION, slo=replace(SLO, min_samples=400))
    assert words_of(many) == "for 57 s: min_samples is 400 requests"


def test_how_a_smoke_asks_is_no_part_of_the_question() -> None:
    named = replace(QUESTION, smoke=SmokeLoad(rate=2.0))
    assert named.fingerprint() == QUESTION.fingerprint()
