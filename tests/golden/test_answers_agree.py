"""What stored runs and the sample say stops a service does not contradict what they predict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.diagnosis.answer.advice import CHANGE, named, next_step
from perfhunt.model.finding import BottleneckClass, WhatIf
from perfhunt.model.knee import Knee
from perfhunt.model.run import Run
from perfhunt.store.run_json import read_run
from tests.sample_run import sample_run
from tests.unit.analysis.diagnosis.agreement import between_advice_and_predictions

STORED = sorted((Path(__file__).parent / "runs").iterdir())
RUNS = [sample_run(), *map(read_run, STORED)]


def knee_of(run: Run) -> Knee:
    assert isinstance(run.knee, Knee)
    return run.knee


@pytest.mark.parametrize("run", RUNS, ids=["sample", *(path.name for path in STORED)])
def test_a_stored_answer_does_not_contradict_its_prediction(run: Run) -> None:
    assert run.findings and run.findings[0].what_if is not None
    assert list(between_advice_and_predictions(run, knee_of(run))) == []


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("category", BottleneckClass)
def test_no_class_has_a_function_changed_whose_removal_would_move_nothing(
    category: BottleneckClass, moves: bool
) -> None:
    run = sample_run()
    knee, first, bottleneck = knee_of(run), run.findings[0], run.bottleneck
    assert bottleneck is not None and first.what_if is not None
    rate = 2 * knee.rate if moves else knee.rate
    known = WhatIf(rate, rate, rate, 1.0, cap="the pool of 4 would still be the limit")
    findings = (replace(first, category=category, what_if=known), *run.findings[1:])
    evidence = Evidence(Span(100.0))
    step = next_step(
        findings,
        frozenset({category}),
        replace(bottleneck, category=category),
        knee,
        evidence,
    )
    told = replace(run, findings=findings, next_step=step)
    assert list(between_advice_and_predictions(told, knee)) == []
    if step.startswith(CHANGE):
        assert moves and step.startswith(f"{CHANGE}{named(first)},")
