"""Predictions against the utilisation law, worked out by hand."""

from __future__ import annotations

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.classify import classify
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.analysis.diagnosis.whatif import with_what_if
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.model.finding import Finding
from perfhunt.model.knee import Capacity, Knee, KneeLabel, NoKnee, NoKneeCode
from tests.unit.scenes import profile, series, used

KNEE = Knee(100.0, 95.0, 105.0, 0.95, "latency.p99", 0.2, 8.0, KneeLabel.SHARP)


def predicted(evidence: Evidence, climb: SearchResult) -> dict[str, Finding]:
    reading = read_evidence(evidence)
    suspects = suspects_of(reading)
    findings, bottleneck = rank(reading, suspects), classify(reading, suspects)
    return {f.function: f for f in with_what_if(findings, bottleneck, reading, suspects, climb)}


def climb(knee: Knee | NoKnee = KNEE, capacity: float | None = None) -> SearchResult:
    burst = None if capacity is None else Capacity(capacity, capacity, capacity, 2 * capacity)
    return SearchResult(knee, (knee,), burst, (), ())


def test_removing_three_quarters_of_the_only_cores_demand_brings_the_knee_that_is_left() -> None:
    # One GIL: 8 ms of CPU each, 6 of them in score. Without score 2 ms are left, which is four
    # times the rate.
    evidence = Evidence(
        Span(115.0, profile=profile(score=750, render=250), resources=used(0.92)), cpu_limit=8.0
    )
    what_if = predicted(evidence, climb())["score"].what_if
    assert what_if is not None
    assert what_if.rate == pytest.approx(400.0)
    assert what_if.low < 400.0 < what_if.high


def test_the_next_resource_caps_the_prediction_and_is_named() -> None:
    # The core alone would allow 4x, but two of four threads wait at a neighbour all the time: 17 ms
    # each, 4 threads.
    moment = (
        ["serve>view>ask socket@n:1"] * 2 + ["serve>view>score on_cpu*"] + ["serve>view>score gil"]
    )
    evidence = Evidence(
        Span(
            115.0,
            profile=profile(score=750, render=250),
            instants=series(*[moment] * 32),
            resources=used(0.92),
        ),
        cpu_limit=8.0,
    )
    what_if = predicted(evidence, climb())["score"].what_if
    assert what_if is not None
    assert what_if.rate < 400.0
    assert "worker threads" in what_if.cap


def test_what_does_not_use_the_limiting_resource_is_predicted_to_move_nothing_and_says_so() -> None:
    moment = ["serve>view>ask socket@n:1", "serve>view>score on_cpu*"]
    idle = [["serve!get lock@Q"] * 6] * 8
    moments = [[*moment, *["serve!get lock@Q"] * 6]] * 32
    evidence = Evidence(
        Span(115.0, profile=profile(score=1000), instants=series(*moments), resources=used(0.95)),
        idle=series(*idle),
        cpu_limit=8.0,
    )
    what_if = predicted(evidence, climb())["ask"].what_if
    assert what_if is not None
    assert what_if.rate == pytest.approx(100.0)
    assert "not expected to move the knee" in what_if.caveat


def test_without_a_knee_the_capacity_is_what_is_scaled() -> None:
    evidence = Evidence(
        Span(115.0, profile=profile(score=500, render=500), resources=used(0.92)), cpu_limit=8.0
    )
    what_if = predicted(evidence, climb(NoKnee(NoKneeCode.BELOW_MAX_RATE, "held"), capacity=120.0))[
        "score"
    ].what_if
    assert what_if is not None
    assert what_if.rate == pytest.approx(240.0)
