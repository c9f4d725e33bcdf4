"""The class of bottleneck: every class scored from what must and must not be seen, the winner with
its runner-up.

The rules are the USE and thread-state methods (Gregg) read together; each gives a score between 0
and 1 and the sentences that carry its numbers. Two scores that are close, or a best one that is
low, make the answer `undetermined`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from perfhunt.analysis.blame.reading import EvidenceReading
from perfhunt.analysis.diagnosis.features import Features, features_of
from perfhunt.analysis.diagnosis.rules.score import ClassScore
from perfhunt.analysis.diagnosis.rules.table import QUEUES, RULES
from perfhunt.analysis.diagnosis.suspects import Suspects
from perfhunt.analysis.knee.answers.failures import Failures
from perfhunt.model.finding import Bottleneck, BottleneckClass


@dataclass(frozen=True, slots=True)
class AnswerThresholds:
    """When the best score is an answer. Scores, 0..1; chosen on real services."""

    least: float = 0.35  # a best score below this explains too little
    margin: float = 0.05  # nor is one an answer that leads by less than this


ANSWER = AnswerThresholds()


def classify(
    reading: EvidenceReading, suspects: Suspects, failures: Failures | None = None
) -> Bottleneck:
    """The class of bottleneck with its evidence; `undetermined` names what came closest. `failures`
    is how requests failed in the search; without it, how they did while the service was looked at.
    """
    return decide(scores_of(features_of(reading, suspects, failures)))


def scores_of(features: Features) -> tuple[ClassScore, ...]:
    """The score of every class that the runtime has."""
    scores = (rule(features) for rule in RULES)
    # What turns requests away while it is quick is held up by no queue.
    free = 1.0 - (features.failures.policy if features.failures is not None else 0.0)
    return tuple(
        replace(score, value=score.value * free) if score.category in QUEUES else score
        for score in scores
        if features.traits.has(score.category)
    )


def decide(scores: Iterable[ClassScore]) -> Bottleneck:
    """The best of the scores, if it is good enough and stands out."""
    best, second = sorted(scores, key=lambda s: (-s.value, s.category))[:2]
    if best.value < ANSWER.least:
        closest = f"; closest is {best.category} with a score of {best.value:.2f}"
        why = f"No class of bottleneck explains what was seen{closest if best.value else ''}."
        evidence = (why, *best.evidence)
    elif best.value - second.value < ANSWER.margin:
        why = (
            f"{best.category} ({best.value:.2f}) and {second.category} ({second.value:.2f}) explain"
            " what was seen equally well."
        )
        evidence = (why, *best.evidence, *second.evidence)
    else:
        return Bottleneck(
            category=best.category,
            score=best.value,
            evidence=best.evidence,
            runner_up=second.category,
            # By less than this, no two are told apart: nor is one from nothing.
            runner_up_score=second.value if second.value >= ANSWER.margin else 0.0,
        )
    return Bottleneck(
        category=BottleneckClass.UNDETERMINED,
        score=best.value,
        evidence=evidence,
        runner_up=best.category,
        runner_up_score=best.value,
    )
