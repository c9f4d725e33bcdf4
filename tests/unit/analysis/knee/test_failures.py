"""How requests fail: worked out by hand from trials with known answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.knee.answers.failures import Failures, failures_of
from perfhunt.model.trial import Phase
from tests.unit.analysis.diagnosis.field import trial

BASE = trial(10.0, 0.010)


def of(*trials: object) -> Failures:
    found = failures_of(trials, BASE)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_no_failures_are_none() -> None:
    assert failures_of([trial(100.0, 0.011)], BASE) is None
    assert failures_of([trial(100.0, 0.011, {200: 990, 503: 10})], BASE) is None  # one in a hundred


def test_the_lowest_rates_that_fail_tell_how_and_a_flood_further_up_does_not() -> None:
    found = of(
        trial(100.0, 0.011),
        trial(130.0, 0.011, {200: 900, 503: 100}),
        trial(200.0, 0.011, {200: 600, 503: 400}),
        trial(900.0, 2.0, {200: 10, 500: 990}),
    )
    assert (found.rate, found.status, found.n) == (130.0, 503, 2000)
    assert found.share == pytest.approx(0.25)


def test_trials_that_are_not_to_be_believed_or_that_saturate_tell_nothing() -> None:
    failing = trial(130.0, 0.011, {200: 900, 503: 100})
    saturated = replace(failing, step=replace(failing.step, phase=Phase.CAPACITY))
    assert (
        failures_of([replace(failing, invalid="the generator was late"), saturated], BASE) is None
    )


@pytest.mark.parametrize(
    ("median", "status", "policy"),
    [
        (0.011, 429, 1.0),  # as quick as ever
        (0.001, 503, 1.0),  # a refusal is quicker than an answer
        (0.025, 503, 1.0),  # twice as long, and 5 ms of doubt
        (0.040, 503, 0.5),  # three and a half times as long: halfway
        (0.100, 503, 0.0),  # swamped
        (0.011, 500, 0.0),  # an error is no policy
    ],
)
def test_a_policy_refuses_and_stays_quick(median: float, status: int, policy: float) -> None:
    found = of(trial(130.0, median, {200: 700, status: 300}))
    assert found.policy == pytest.approx(policy)


def test_failures_of_several_kinds_are_no_policy() -> None:
    mixed = of(trial(130.0, 0.011, {200: 700, 503: 160, 500: 140}))
    assert mixed.alike == pytest.approx(160 / 300) and mixed.policy < 0.1


def test_without_a_baseline_nothing_says_that_answers_stayed_quick() -> None:
    found = failures_of([trial(130.0, 0.011, {200: 700, 503: 300})], None)
    assert found is not None and found.policy == 0.0


def test_the_words_name_status_share_and_the_one_route() -> None:
    one = of(trial(130.0, 0.011, {200: 700, 503: 300}))
    assert str(one).startswith("from 130/s on 30 % of requests to GET / are answered 503")
    many = of(trial(130.0, 0.011, routes={"GET /a": {500: 300, 200: 200}, "GET /b": {500: 250}}))
    assert "73.3 % of requests are answered 500" in str(many)
