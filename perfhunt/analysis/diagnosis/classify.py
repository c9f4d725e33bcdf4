"""The class of bottleneck: every class scored from what must and must not be seen, the winner with
its runner-up.

The rows are the USE and thread-state methods (Gregg) read together; each rule gives a score between
0 and 1 and the sentences that carry its numbers. Two scores that are close, or a best one that is
low, make the answer `undetermined`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.blame.reading import EvidenceReading, read_evidence
from perfhunt.analysis.diagnosis.features import Features, signs
from perfhunt.analysis.diagnosis.rules import Score, rules
from perfhunt.model.finding import Bottleneck, BottleneckClass, Finding

LEAST = 0.35  # a best score below this is not an answer
MARGIN = 0.05  # nor is one that leads by less than this


def classify(evidence: Evidence, findings: Sequence[Finding] = ()) -> Bottleneck:
    """The class of bottleneck with its evidence; `undetermined` names what came closest."""
    return classify_picture(read_evidence(evidence), findings)


def classify_picture(seen: EvidenceReading, findings: Sequence[Finding] = ()) -> Bottleneck:
    """The class of bottleneck of evidence that was read already."""
    return decide(signs(seen, findings), rules())


def decide(read: Features, table: Sequence[Callable[[Features], Score]]) -> Bottleneck:
    """The best of the table's scores, if it is good enough and stands out."""
    scores = sorted((rule(read) for rule in table), key=lambda s: (-s.value, s.cls))
    best, second = scores[0], scores[1]
    if best.value < LEAST:
        why = (
            f"No class of bottleneck explains what was seen; closest is {best.cls} with a score of"
            f" {best.value:.2f}."
        )
        return _undetermined((why, *best.evidence), best)
    if best.value - second.value < MARGIN:
        why = (
            f"{best.cls} ({best.value:.2f}) and {second.cls} ({second.value:.2f}) explain what was"
            " seen equally well."
        )
        evidence = (why, *best.evidence, *second.evidence)
        return _undetermined(evidence, best)
    return Bottleneck(
        category=BottleneckClass(best.cls),
        score=best.value,
        evidence=best.evidence,
        runner_up=BottleneckClass(second.cls),
        runner_up_score=second.value,
    )


def _undetermined(evidence: tuple[str, ...], best: Score) -> Bottleneck:
    return Bottleneck(
        category=BottleneckClass.UNDETERMINED,
        score=best.value,
        evidence=evidence,
        runner_up=BottleneckClass(best.cls),
        runner_up_score=best.value,
    )
