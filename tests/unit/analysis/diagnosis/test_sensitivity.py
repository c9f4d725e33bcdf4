"""No decision stands on the edge of a knife: every threshold of the rules may be a fifth off."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest

from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis import classify
from perfhunt.analysis.diagnosis.classify import scores_of
from perfhunt.analysis.diagnosis.features import Features, LatencyKind, features_of
from perfhunt.analysis.diagnosis.known.states_alone import HIDDEN
from perfhunt.analysis.diagnosis.rules import waits
from perfhunt.analysis.diagnosis.rules.score import ClassScore
from perfhunt.analysis.diagnosis.suspects import suspects_of
from tests.unit.analysis.diagnosis import field, sensitivity, test_classify
from tests.unit.scenes import classified

MARGIN = 0.2  # of a threshold, that it may move before any decision flips


def decided() -> dict[str, Features]:
    """What the hand-drawn captures are judged by: those with a test each, and other runtimes."""
    seen: dict[str, Features] = {}
    tests = {
        name: test
        for name, test in vars(test_classify).items()
        if name.startswith("test_") and not inspect.signature(test).parameters
    }
    drawn = (field.go_mutex, field.java_monitor, field.node_pool, field.node_loop)
    for name, draw in {**tests, **{scene.__name__: scene for scene in drawn}}.items():

        def noted(features: Features, name: str = name) -> tuple[ClassScore, ...]:
            seen[name] = features
            return scores_of(features)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(classify, "scores_of", noted)
            evidence = draw()
            if isinstance(evidence, Evidence):
                classified(evidence)
    return seen


def test_no_decision_flips_when_a_threshold_moves_by_a_fifth() -> None:
    everything = decided()
    assert len(everything) > 15
    near = {
        threshold: (part, names)
        for threshold, (part, names) in sensitivity.flips(everything).items()
        if part <= MARGIN
    }
    assert near == {}


def test_a_decision_on_the_edge_would_be_told() -> None:
    reading = read_evidence(field.go_mutex())
    features = features_of(reading, suspects_of(reading))
    half = sum(waits.LOCK.hidden) / 2 + 0.01
    edge = replace(features, added={HIDDEN: half, LatencyKind.CPU: 1.0 - half})
    told = sensitivity.flips({"edge": edge})
    assert told["LOCK.hidden"] == (0.1, ["edge"])


def test_every_rule_has_its_thresholds_among_those_that_are_moved() -> None:
    assert sensitivity.count() > 50
