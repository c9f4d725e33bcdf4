"""A verdict with all that CI shows of it."""

from __future__ import annotations

from dataclasses import dataclass

from perfhunt.model.run import Run
from perfhunt.model.verdict.attribution import Attribution
from perfhunt.model.verdict.change import OneChange
from perfhunt.model.verdict.prediction import PredictionScore
from perfhunt.model.verdict.verdict import Verdict


@dataclass(frozen=True, slots=True)
class JudgedChange:
    """What a verification came to: of which target, by which run ("": nothing was kept), and what
    was edited.
    """

    target: str
    id: str
    verdict: Verdict
    change: OneChange | None = None
    attribution: Attribution | None = None
    prediction: PredictionScore | None = None

    @classmethod
    def of_run(cls, run: Run, verdict: Verdict) -> JudgedChange:
        """A verdict on a run that was held against another: of what was edited it says nothing."""
        target = run.question.target
        return cls(target.name or target.url, run.id, verdict)
