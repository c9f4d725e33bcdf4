"""Predictions of real services against the same services with the culprit doing nothing.

About a minute each; with PERFHUNT_ZOO=all.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.prediction.whatif import with_what_if
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.model.finding import WhatIf
from perfhunt.model.knee import Capacity, Knee, KneeLabel
from tests.live.test_zoo import ALL, missing
from tests.live.zoo.keeper import ZOO, Animal, capacity, capture

pytestmark = pytest.mark.live
MENDABLE = ("lock", "loop-cpu")
# Times: a capture of seconds without a search's trials, on a host that is shared.
NEAR = 1.6


def prediction_of(evidence: Evidence, function: str, before: float) -> WhatIf:
    """What is predicted of taking a function out of a service with that capacity."""
    reading = read_evidence(evidence)
    suspects = suspects_of(reading)
    knee = Knee(
        rate=evidence.knee.completed,
        low=0.95 * evidence.knee.completed,
        high=1.05 * evidence.knee.completed,
        confidence=0.95,
        criterion="latency.p99",
        limit=0.2,
        sharpness=8.0,
        label=KneeLabel.SHARP,
    )
    burst = Capacity(before, 0.95 * before, 1.05 * before, 2 * before)
    climb = SearchResult(knee, (knee,), burst, (), ())
    findings = with_what_if(rank(reading, suspects), reading, suspects, climb, ())
    (found,) = (f for f in findings if f.function == function)
    assert found.what_if is not None, found.withheld
    return found.what_if


@pytest.mark.skipif(bool(missing()), reason=missing() or "all there")
@pytest.mark.skipif(not ALL, reason="PERFHUNT_ZOO=all")
@pytest.mark.parametrize("animal", [a for a in ZOO if a.name in MENDABLE], ids=lambda a: a.name)
def test_a_fix_brings_what_was_predicted(animal: Animal, tmp_path: Path) -> None:
    (culprit,) = animal.culprits
    before, after = capacity(animal), capacity(animal, culprit)
    predicted = prediction_of(capture(animal, tmp_path), culprit, before)
    assert predicted.saturated is not None
    if predicted.at_least:
        assert after > predicted.saturated / NEAR
    else:
        assert after / NEAR < predicted.saturated < after * NEAR
