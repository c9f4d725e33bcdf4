"""How good predictions were: expected values by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.verdict.prediction import record_of, score_knee
from perfhunt.model.finding import WhatIf
from perfhunt.model.knee import Knee, KneeLabel, NoKnee, NoKneeCode
from perfhunt.model.verdict.prediction import Predicted, PredictionScore
from perfhunt.reports.verdict_text import prediction_sentence
from tests.sample_run import sample_run

SCORE = PredictionScore(
    run="20261123T043000Z-1f3a9c",
    function="load_rules",
    file="shop/pricing.py",
    of=Predicted.KNEE,
    predicted=110.0,
    low=105.0,
    high=120.0,
    observed=112.0,
    observed_low=100.0,
    observed_high=115.0,
)


@pytest.mark.parametrize(
    ("low", "high", "word", "within"),
    [
        (80, 95, "below the prediction", False),
        (130, 150, "above the prediction", False),
        (100, 115, "as predicted", True),
    ],
)
def test_the_prediction_against_the_measurement(
    low: float, high: float, word: str, within: bool
) -> None:
    middle = (low + high) / 2
    score = replace(SCORE, observed=middle, observed_low=low, observed_high=high)
    assert word in prediction_sentence(score)
    assert score.within is within
    assert score.error == pytest.approx(110 / middle - 1)


def test_a_lower_bound_is_kept_by_anything_above_it() -> None:
    bound = replace(SCORE, at_least=True, observed=300.0, observed_low=290.0, observed_high=310.0)
    assert bound.within
    assert "knee predicted at least 110/s, observed 300/s" in prediction_sentence(bound)
    assert record_of([bound]).median_error == 0.0
    below = replace(bound, observed=90.0, observed_low=85.0, observed_high=95.0)
    assert below.within is False
    assert record_of([below]).median_error == pytest.approx(110 / 90 - 1)


def test_where_no_more_was_offered_a_prediction_above_it_is_not_refuted() -> None:
    score = replace(
        SCORE, observed=100.0, observed_low=100.0, observed_high=100.0, observed_at_least=True
    )
    assert (score.error, score.within) == (None, None)
    assert "not refuted" in prediction_sentence(score)
    assert record_of([score]).n == 0
    beyond = replace(score, observed=200.0, observed_low=200.0, observed_high=200.0)
    assert beyond.within is False


def test_an_edit_that_took_out_a_part_only_does_not_count() -> None:
    part = replace(SCORE, removed=0.5, observed=60.0, observed_low=58.0, observed_high=62.0)
    found = record_of([SCORE, part])
    assert (found.n, found.partial, found.within) == (1, 1, 1.0)
    assert found.median_error == pytest.approx(2 / 112)
    assert "The edit took 50 % of load_rules out" in prediction_sentence(part)


def test_no_predictions_have_no_record() -> None:
    assert record_of([]).median_error is None
    assert record_of([]).within is None


def test_a_service_that_does_not_break_any_more_is_compared_with_what_it_held() -> None:
    finding = sample_run().findings[0]
    held = score_knee(finding, "run", NoKnee(NoKneeCode.BELOW_MAX_RATE, "it held", 500.0))
    assert held is not None
    assert (held.observed, held.observed_at_least) == (500.0, True)
    assert score_knee(finding, "run", NoKnee(NoKneeCode.STOPPED, "stopped")) is None
    without = replace(finding, what_if=None)
    knee = Knee(290.0, 280.0, 300.0, 0.95, "latency.p99", 0.1, 10.0, KneeLabel.SHARP)
    assert score_knee(without, "run", knee) is None
    old = replace(finding, what_if=WhatIf(228.0, 204.0, 251.0, 1.0))
    scored = score_knee(old, "run", knee)
    assert scored is not None
    assert scored.at_least is False
