"""The knee and the class agree: what the search knows is evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.diagnosis.answer.settled import hides
from perfhunt.analysis.diagnosis.diagnosis import Diagnosis, diagnose
from perfhunt.model.knee import Knee, KneeLabel, NoKnee, NoKneeCode
from perfhunt.model.profile import Frame
from perfhunt.model.trial import Trial
from tests.unit.analysis.diagnosis.field import KNEE, climb, span, trial
from tests.unit.scenes import APP, profile, series

ERRORS = replace(KNEE, label=KneeLabel.ERRORS)
CALM = [{"poll": 0.9, "on_cpu": 0.1}]
REST = "serve_forever!get lock@I"


def below() -> Evidence:
    """The service at its knee and at baseline: quick at both, half a core used."""
    return Evidence(
        replace(
            span(95.0, 0.011, CALM, 0.5, profile(render=500)),
            instants=series(*[["serve>view>render on_cpu*", *[REST] * 3]] * 32),
        ),
        replace(
            span(10.0, 0.010, CALM, 0.05, profile(render=60)),
            instants=series(*[[REST] * 4] * 9, ["serve>view>render on_cpu*", *[REST] * 3]),
        ),
        cpu_limit=2.0,
    )


def told(knee: Knee | NoKnee, *trials: Trial, evidence: Evidence | None = None) -> Diagnosis:
    return diagnose(evidence or below(), climb(knee, *trials), None, trials)


def test_refusals_at_the_latency_of_the_baseline_are_a_limiter_although_nothing_shows_below() -> (
    None
):
    done = told(ERRORS, trial(130.0, 0.011, {200: 700, 503: 300}))
    assert done.bottleneck is not None
    assert done.bottleneck.category == "limiter" and done.bottleneck.score > 0.9
    sentence = done.bottleneck.evidence[0]
    assert "503" in sentence and "GET /" in sentence and "30 %" in sentence
    assert not done.next_step.startswith("Change")


def test_refusals_of_a_swamped_service_are_no_limiter() -> None:
    done = told(ERRORS, trial(130.0, 0.400, {200: 700, 503: 300}))
    assert done.bottleneck is not None and done.bottleneck.category != "limiter"


def test_an_error_knee_names_the_status_and_the_one_route_that_fails() -> None:
    routes = {"GET /a": {200: 500}, "POST /b": {200: 300, 500: 200}}
    done = told(ERRORS, trial(130.0, 0.011, routes=routes))
    assert done.bottleneck is not None and done.bottleneck.category == "undetermined"
    assert "40 % of requests to POST /b are answered 500" in done.bottleneck.evidence[0]


def test_connections_that_are_refused_are_said_so() -> None:
    away = replace(trial(130.0, 0.011), outcomes={"ok": 700, "connect": 300})
    done = told(ERRORS, away)
    assert done.bottleneck is not None
    assert "30 % of requests cannot connect" in done.bottleneck.evidence[0]


def test_what_fails_while_it_is_quick_is_held_up_by_no_queue() -> None:
    busy = replace(below(), knee=replace(below().knee, resources=None))
    done = told(ERRORS, trial(130.0, 0.011, {200: 700, 500: 300}), evidence=busy)
    assert done.bottleneck is not None and done.bottleneck.category == "undetermined"


@pytest.mark.parametrize("code", [NoKneeCode.BELOW_MAX_RATE, NoKneeCode.BUDGET, NoKneeCode.STOPPED])
def test_nothing_stops_a_service_that_was_not_seen_to_break(code: NoKneeCode) -> None:
    done = told(NoKnee(code, "it held up to 20,000/s", 20_000.0), trial(20_000.0, 0.011))
    assert done.bottleneck is None
    assert done.findings and all(f.what_if is None for f in done.findings)
    assert not done.next_step.startswith("Change")


@pytest.mark.parametrize(
    ("code", "category"),
    [(NoKneeCode.GENERATOR_LIMITED, "generator"), (NoKneeCode.HOST_BUSY, "host")],
)
def test_what_ended_the_search_is_the_class(code: NoKneeCode, category: str) -> None:
    done = told(NoKnee(code, "trial after trial was spoiled"))
    assert done.bottleneck is not None and done.bottleneck.category == category
    assert done.bottleneck.evidence[0] == "Trial after trial was spoiled."


def test_a_service_that_fails_at_any_load_has_no_class_and_its_answers_are_named() -> None:
    reason = "6 of 6 requests failed at the baseline of 10/s: all are answered 401"
    done = told(NoKnee(NoKneeCode.ERRORS_AT_ONCE, reason))
    assert done.bottleneck is not None and done.bottleneck.category == "undetermined"
    assert "401" in done.bottleneck.evidence[0] and "401" in done.next_step


@pytest.mark.parametrize(
    ("criterion", "category"), [("cpu.share", "cpu"), ("memory.share", "memory")]
)
def test_a_knee_of_a_resource_is_stopped_by_it(criterion: str, category: str) -> None:
    done = told(replace(KNEE, label=KneeLabel.RESOURCE, criterion=criterion))
    assert done.bottleneck is not None and done.bottleneck.category == category


def test_the_break_is_looked_for_above_the_knee_where_it_does_not_show_at_it() -> None:
    nothing = told(KNEE).bottleneck
    assert nothing is not None and nothing.category == "undetermined"
    assert hides(KNEE, nothing)
    limiter = told(ERRORS, trial(130.0, 0.011, {200: 700, 503: 300})).bottleneck
    assert hides(ERRORS, limiter)
    assert not hides(NoKnee(NoKneeCode.BUDGET, "it ended"), None)


def above() -> Evidence:
    """At 150/s a function refuses that was not seen at the knee; the page costs what it cost."""
    seen = profile(render=550, turn_away=40)
    # More clients than before are waited for, which is no refusal.
    reading = (Frame("readinto", "/usr/lib/python3.11/socket.py"),)
    seen = replace(seen, stacks={**seen.stacks, reading: 90.0})
    refusing = span(150.0, 0.011, CALM, 0.6, seen)
    return replace(below(), above=replace(refusing, trial=trial(150.0, 0.011, {200: 7, 503: 3})))


def test_the_function_that_refuses_comes_first_and_is_named() -> None:
    done = told(ERRORS, trial(150.0, 0.011, {200: 700, 503: 300}), evidence=above())
    assert done.bottleneck is not None and done.bottleneck.category == "limiter"
    first, second = done.findings[:2]
    assert (first.function, first.category, first.rank) == ("turn_away", "limiter", 1)
    assert (second.function, second.rank) == ("render", 2)
    assert "turn_away" in done.bottleneck.evidence[1]
    assert "Raise the limit that turn_away" in done.next_step


CODE = """
def over_limit():
    return TOKENS[0] < 1

def view(environ, start_response):
    if over_limit():
        start_response("503 Service Unavailable", [])
        return turn_away()
    return render()

def turn_away():
    return [b"sorry"]
"""


def test_a_function_that_refuses_too_quickly_to_be_met_is_read_in_the_code() -> None:
    unmet = replace(below(), sources={APP: CODE})
    done = told(ERRORS, trial(150.0, 0.011, {200: 700, 503: 300}), evidence=unmet)
    assert done.bottleneck is not None and done.bottleneck.category == "limiter"
    first, second = done.findings[:2]
    assert (first.function, first.file, first.line) == ("over_limit", APP, 2)
    assert (first.category, first.rank, second.rank) == ("limiter", 1, 2)
    assert first.blamed.value == 0.0 and 0.0 < first.blamed.high < 0.002  # n looks met none
    assert f"view ({APP}:7)" in first.evidence and "503" in first.evidence
    assert f"What refuses is over_limit ({APP}:2), by the code" in done.bottleneck.evidence[1]
    assert "Raise the limit that over_limit" in done.next_step
    assert first.what_if is None


def test_what_was_caught_in_the_application_stands_before_what_was_read() -> None:
    both = replace(above(), sources={APP: CODE})
    done = told(ERRORS, trial(150.0, 0.011, {200: 700, 503: 300}), evidence=both)
    assert done.findings[0].function == "turn_away"


def test_what_was_caught_and_runs_for_other_requests_too_does_not_refuse() -> None:
    both = replace(above(), sources={APP: CODE.replace("render()", "turn_away()")})
    done = told(ERRORS, trial(150.0, 0.011, {200: 700, 503: 300}), evidence=both)
    assert done.findings[0].function == "over_limit"


def test_a_service_that_is_swamped_is_not_said_to_refuse() -> None:
    swamped = replace(below(), sources={APP: CODE})
    done = told(ERRORS, trial(130.0, 0.400, {200: 700, 503: 300}), evidence=swamped)
    assert "over_limit" not in {finding.function for finding in done.findings}


def test_a_class_that_shows_above_the_knee_only_is_taken_from_there() -> None:
    moment = ["serve>view>pay sleep", *["serve>view>pay lock@A"] * 4]
    swamped = replace(
        span(115.0, 0.060, CALM, 0.3, profile(render=100)), instants=series(*[moment] * 32)
    )
    done = told(KNEE, evidence=replace(below(), above=swamped))
    assert done.bottleneck is not None and done.bottleneck.category == "lock"
    assert "115/s" in done.bottleneck.evidence[-1]
    assert done.findings[0].function == "pay"


def test_of_a_knee_that_may_be_far_from_what_was_held_the_class_is_taken_from_above() -> None:
    asking = series(*[["serve>view>pay socket@n:1"] * 5] * 32)
    waits = [["serve>view>pay sleep", *["serve>view>pay lock@A"] * 4]] * 32
    swamped = replace(span(115.0, 0.060, CALM, 0.3, profile(render=100)), instants=series(*waits))
    seen = replace(
        below(), knee=replace(below().knee, service=0.05, instants=asking), above=swamped
    )
    guess = replace(KNEE, label=KneeLabel.BRACKET, low=10.0, high=160.0)
    near, far = told(KNEE, evidence=seen), told(guess, evidence=seen)
    assert near.bottleneck is not None and near.bottleneck.category == "downstream"
    assert far.bottleneck is not None and far.bottleneck.category == "lock"
    assert hides(guess, far.bottleneck) and not hides(replace(guess, low=60.0), far.bottleneck)
