"""Predictions of services in virtual time, against the same services with the part taken out."""

from __future__ import annotations

from statistics import median

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.prediction.whatif import with_what_if
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.model.finding import Finding
from perfhunt.model.knee import Capacity, Knee, KneeLabel
from perfhunt.model.trial import Resources
from perfhunt.testing import Service, exponential
from tests.simulation.queues import climb_of, knee_of
from tests.simulation.threads import Doing, Part, capacity_of, seen_at, tried_at
from tests.unit.scenes import profile

# Threads, and the parts of a request; the first is the culprit.
SERVICES = {
    "a lock": (
        16,
        (Part("reserve", Doing.HOLD, 6e-3), Part("render", Doing.COMPUTE, 1.5e-3)),
    ),
    "threads": (
        8,
        (Part("ask", Doing.WAIT, 60e-3), Part("render", Doing.COMPUTE, 1e-3)),
    ),
    "the GIL": (
        16,
        (
            Part("score", Doing.COMPUTE, 6e-3),
            Part("render", Doing.COMPUTE, 2e-3),
            Part("ask", Doing.WAIT, 20e-3),
        ),
    ),
    "threads, then a lock": (
        4,
        (
            Part("ask", Doing.WAIT, 40e-3),
            Part("reserve", Doing.HOLD, 7e-3),
            Part("render", Doing.COMPUTE, 1e-3),
        ),
    ),
    "a lock, then threads": (
        8,
        (
            Part("reserve", Doing.HOLD, 8e-3),
            Part("ask", Doing.WAIT, 25e-3),
            Part("render", Doing.COMPUTE, 1e-3),
        ),
    ),
}


def culprit_of(threads: int, parts: tuple[Part, ...], seed: int) -> tuple[Finding, float]:
    """The finding of a service's culprit, and the capacity without it."""
    capacity = capacity_of(threads, parts)
    reading = read_evidence(seen_at(threads, parts, 0.85 * capacity, seed))
    suspects = suspects_of(reading)
    knee = Knee(
        rate=0.85 * capacity,
        low=0.82 * capacity,
        high=0.88 * capacity,
        confidence=0.95,
        criterion="latency.p99",
        limit=0.5,
        sharpness=8.0,
        label=KneeLabel.SHARP,
    )
    burst = Capacity(capacity, 0.97 * capacity, 1.03 * capacity, 2 * capacity)
    climb = SearchResult(knee, (knee,), burst, (), ())
    trials = [tried_at(threads, parts, share * capacity) for share in (0.2, 0.4, 0.6, 0.8)]
    findings = with_what_if(rank(reading, suspects), reading, suspects, climb, trials)
    found = next(f for f in findings if f.function == parts[0].function)
    return found, capacity_of(threads, parts[1:])


@pytest.mark.parametrize("name", SERVICES)
def test_the_interval_of_a_prediction_holds_what_the_fix_brings(name: str) -> None:
    errors, held, bounds = [], 0, 0
    for seed in (2, 3, 4):
        finding, truth = culprit_of(*SERVICES[name], seed)
        predicted = finding.what_if
        assert predicted is not None, finding.withheld
        low, value, high = predicted.saturated_low, predicted.saturated, predicted.saturated_high
        assert low is not None and value is not None and high is not None
        # A pool of finitely many threads gives less than its bound.
        held += truth >= value if predicted.at_least else 0.9 * low <= truth <= high * 1.02
        errors.append(abs(value / truth - 1))
        bounds += predicted.at_least
    # A bound is worth telling where it is not far below.
    assert median(errors) < (0.3 if bounds else 0.15), errors
    assert held >= 2


def test_the_knee_that_a_search_finds_after_the_fix_is_the_one_predicted_before_it() -> None:
    before, after = Service(exponential(6e-3)), Service(exponential(2e-3))
    climb = climb_of(service=before)
    rate = 0.8 / 6e-3
    profiled = profile(score=4000, render=2000)
    resources = Resources(10.0, cpu=0.8, cpu_limit=8.0)
    reading = read_evidence(
        Evidence(Span(rate, profile=profiled, resources=resources), cpu_limit=8.0)
    )
    suspects = suspects_of(reading)
    findings = with_what_if(rank(reading, suspects), reading, suspects, climb, ())
    predicted = next(f for f in findings if f.function == "score").what_if
    assert predicted is not None
    seen = knee_of(climb_of(service=after))
    assert predicted.rate == pytest.approx(seen.rate, rel=0.1)
    assert predicted.low < seen.high
    assert predicted.high > seen.low
