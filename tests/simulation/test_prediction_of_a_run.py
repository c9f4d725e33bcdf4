"""From an investigation to the check of its prediction, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from perfhunt.analysis.blame.evidence import Span
from perfhunt.analysis.verdict.prediction import score_knee
from perfhunt.lab import Lab
from perfhunt.load.seam import SecondWatcher
from perfhunt.model.question import Question
from perfhunt.model.run import Environment, Run, RunKind
from perfhunt.model.slo import Judgement
from perfhunt.model.trial import Resources, Step, Trial
from perfhunt.reports.terminal import terminal
from perfhunt.store.rundir import RunDirectory, read_directory
from perfhunt.stories.investigation import investigate
from perfhunt.testing import Clock, QueueEngine, Service, exponential
from perfhunt.version import __version__
from tests.simulation.test_investigate import Blind, question_of
from tests.unit.scenes import profile


class Seeing(Blind):
    """Probes of a service that computes on its one core: what each request costs there, and which
    functions take it.
    """

    def __init__(self, engine: Noting, mean: float, **samples: float) -> None:
        super().__init__()
        self.engine, self.mean, self.samples = engine, mean, samples

    def resources(self) -> Resources:
        done = self.engine.last.completed if self.engine.last is not None else 0.0
        return Resources(10.0, cpu=done * self.mean, cpu_limit=1.0)

    def span_of(self, trial: Trial) -> Span:
        return Span.of(trial, profile=profile(**self.samples))


class Noting(QueueEngine):
    """The engine, with the last trial at hand."""

    last: Trial | None = None

    def run(
        self,
        step: Step,
        watch: SecondWatcher | None = None,
        stop: Callable[[], str] | None = None,
    ) -> Trial:
        self.last = super().run(step, watch, stop)
        return self.last


def run_of(path: Path, mean: float, **samples: float) -> Run:
    """The run of an M/M/1 service."""
    question: Question = question_of()
    engine = Noting(Service(exponential(mean)), question.slo.criteria(), seed=3)
    start = Run(
        id=f"20261123T000000Z-{int(1e6 * mean)}",
        kind=RunKind.INVESTIGATE,
        started="2026-11-23T00:00:00Z",
        perfhunt=__version__,
        question=question,
        environment=Environment(),
        target=None,
        verdict=Judgement.UNKNOWN,
    )
    directory = RunDirectory.create(path / ".perfhunt", start)
    lab = Lab(
        engine=engine,
        probes=Seeing(engine, mean, **samples),
        directory=directory,
        start=start,
        clock=Clock(),
    )
    return investigate(question, lab)


def test_an_investigation_predicts_what_the_next_one_finds(tmp_path: Path) -> None:
    before = run_of(tmp_path / "before", 6e-3, score=4000, render=2000)
    finding = before.findings[0]
    assert (finding.function, finding.withheld) == ("score", "")
    assert finding.what_if is not None
    assert finding.what_if.binding == "the CPU (1 core)"
    assert finding.what_if.saturated == pytest.approx(500.0, rel=0.1)
    assert "  without the first: about " in terminal(before)
    (kept,) = (tmp_path / "before" / ".perfhunt" / "runs").iterdir()
    assert read_directory(kept).findings[0].what_if == finding.what_if
    after = run_of(tmp_path / "after", 2e-3, render=2000)
    score = score_knee(finding, before.id, after.knee)
    assert score is not None
    assert score.within
    assert score.error is not None
    assert abs(score.error) < 0.15
