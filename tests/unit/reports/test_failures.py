"""Why requests failed, as terminal and report.md say it: counted by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.model.knee import Knee
from perfhunt.model.latency import RouteFailure, TaskTime
from perfhunt.model.question import RequestTemplate
from perfhunt.model.run import Run, RunEnd, RunKind
from perfhunt.model.slo import Judgement, Measure, Objective, judge
from perfhunt.model.trial import RouteResult, Trial
from perfhunt.reports.format import FORMATS
from perfhunt.reports.requests.failures import (
    error_texts,
    failed_requests,
    failed_where_it_holds,
    generator_notes,
)
from perfhunt.reports.verdict_sentence import verdict_sentence
from tests.sample_run import aborted_run, sample_run

SECRET = "canary4711x"
LOGIN = RequestTemplate(name="list", method="GET", path=f"/orders?token={SECRET}&page=2")


def refused(trial: Trial, codes: dict[int, int], failures: tuple[RouteFailure, ...]) -> Trial:
    """The trial with one route, all of whose requests had other answers than were expected."""
    latency = trial.routes["list"].response
    n = sum(codes.values())
    route = RouteResult(replace(latency, n=n), latency, codes, {"status": n}, {}, failures)
    return replace(trial, routes={"list": route}, outcomes={"status": n})


def failing(*, kept: bool = True, codes: dict[int, int] | None = None) -> Run:
    """A run cut short after two trials in which every request was answered 401."""
    run, codes = aborted_run(), codes or {401: 7}
    code, count = next(iter(codes.items()))
    failures = (RouteFailure("status", code, count, 0.25, 0.003),) if kept else ()
    first = refused(run.trials[0], codes, failures)
    second = replace(first, step=replace(first.step, rate=2 * first.step.rate))
    question = replace(run.question, traffic=(LOGIN,))
    return replace(run, trials=(first, second), question=question)


@pytest.mark.parametrize("kept", [True, False], ids=["by kind", "by status alone"])
def test_requests_that_failed_alike_are_counted_over_all_trials(kept: bool) -> None:
    (kind,) = failed_requests(failing(kept=kept))
    assert kind.sentence == "14 of 14 requests to list: answered 401 Unauthorized, at 15/s to 30/s"


def test_a_percentile_of_quick_failures_is_not_told_as_what_missed() -> None:
    quick = judge(Objective(Measure.LATENCY, "p99", "<=", 0.1), 0.004, 14)
    run = replace(
        failing(),
        kind=RunKind.SMOKE,
        ended=RunEnd.COMPLETE,
        verdict=Judgement.MISSED,
        judged=(replace(quick, verdict=Judgement.MISSED),),
        judged_at=15.0,
    )
    assert verdict_sentence(run).startswith(
        "SLO missed at 15/s: latency.p99 <= 100 ms was asked, and 7 of 7 requests to list:"
        " answered 401 Unauthorized, at 15/s."
    )


def test_the_first_example_is_the_earliest_and_holds_no_value_of_the_query() -> None:
    run = failing()
    (kind,) = failed_requests(run)
    assert kind.first == "GET /orders?token=…&page=…, 250 ms into ramp at 15/s, ended after 3 ms"
    for form in ("terminal", "markdown"):
        text = FORMATS[form].render(run)
        assert "401 Unauthorized" in text
        assert SECRET not in text


def test_an_answer_that_is_no_error_is_said_to_be_unexpected() -> None:
    (kind,) = failed_requests(failing(codes={200: 3}))
    assert kind.how == "answered 200 OK, which is not what was expected"
    (kind,) = failed_requests(failing(codes={200: 3}, kept=False))
    assert kind.how == "answered otherwise, which is not what was expected"


def test_of_a_locustfile_it_is_tasks_that_failed() -> None:
    run = failing()
    generator = replace(run.trials[0].generator, tasks=(TaskTime("list", 7, 1.0, 7, 0.9),))
    run = replace(run, trials=tuple(replace(t, generator=generator) for t in run.trials))
    (kind,) = failed_requests(run)
    assert kind.sentence.startswith("14 of 14 tasks list: answered 401")


@pytest.mark.parametrize("form", ["terminal", "markdown"])
def test_what_clients_met_is_told_with_its_count(form: str) -> None:
    run = failing()
    text = f'Get "http://shop:80/a?key={SECRET}": dial tcp: connect: connection refused'
    trials = [
        replace(t, generator=replace(t.generator, mishaps={text: 4, "TimeoutError": 1}))
        for t in run.trials
    ]
    run = replace(run, trials=tuple(trials))
    assert error_texts(run)[1] == ("TimeoutError", 2)
    told = FORMATS[form].render(run)
    assert "connection refused" in told
    assert SECRET not in told


def test_failures_above_the_knee_are_in_the_report_and_not_on_the_screen() -> None:
    run = sample_run()
    routes = {"list": replace(run.trials[0].routes["list"], outcomes={"ok": 60, "timeout": 2})}
    assert isinstance(run.knee, Knee)
    low = run.knee.low
    beyond = [replace(t, routes=routes) if t.step.rate > low else t for t in run.trials]
    run = replace(run, trials=tuple(beyond))
    assert failed_requests(run)
    assert failed_where_it_holds(run) == ()
    assert "not answered in time" in FORMATS["markdown"].render(run)
    assert "not answered in time" not in FORMATS["terminal"].render(run)
    below = replace(run, trials=(replace(run.trials[0], routes=routes), *run.trials[1:]))
    assert "2 of 42 requests to list: not answered in time" in FORMATS["terminal"].render(below)


def test_notes_that_differ_by_their_numbers_are_told_once() -> None:
    run = failing()
    noted = [
        replace(
            t,
            generator=replace(
                t.generator,
                notes=(f"{n} requests waited for others to finish", f"{n} x TimeoutError"),
                mishaps={"TimeoutError": n},
            ),
        )
        for n, t in enumerate(run.trials, 3)
    ]
    run = replace(run, trials=tuple(noted))
    assert generator_notes(run) == (
        "3 requests waited for others to finish (ramp at 15/s; alike in 1 more).",
    )
    assert "waited for others to finish" in FORMATS["markdown"].render(run)
