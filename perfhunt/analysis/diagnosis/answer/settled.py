"""The class of bottleneck as the search's own answer leaves it: the knee and the class agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from perfhunt.analysis.diagnosis.rules.table import QUEUES
from perfhunt.analysis.knee.answers.failures import EVEN, Failures
from perfhunt.model.finding import Bottleneck, BottleneckClass
from perfhunt.model.knee import Knee, KneeLabel, NoKnee, NoKneeCode
from perfhunt.model.units import Share, format_rate

# What the search proved by itself is as sure as a class gets: it tried again and again.
PROVED: Share = 0.9
# High end of a bracket over its low end, from which what was held, in between, may be half of what
# the service holds: then it shows nothing of what stops that.
_FAR_APART = 4.0
# Why there is no knee, where that names what stopped the search.
_STOPPED_BY: Mapping[NoKneeCode, BottleneckClass] = {
    NoKneeCode.GENERATOR_LIMITED: BottleneckClass.GENERATOR,
    NoKneeCode.HOST_BUSY: BottleneckClass.HOST,
}
# Why there is none, where the service broke all the same.
_BROKEN = frozenset({NoKneeCode.MISSED_AT_BASELINE, NoKneeCode.ERRORS_AT_ONCE})
# What the measure of an objective counts is what its knee is about.
_RESOURCES: Mapping[str, BottleneckClass] = {
    "cpu": BottleneckClass.CPU,
    "memory": BottleneckClass.MEMORY,
}


def breaks(knee: Knee | NoKnee) -> bool:
    """Whether the service was seen to break, so that there is something that stops it."""
    return isinstance(knee, Knee) or knee.code in _BROKEN or knee.code in _STOPPED_BY


def hides(knee: Knee | NoKnee, bottleneck: Bottleneck | None) -> bool:
    """Whether what stops the service may show above the knee only: it fails there, or nothing below
    explains it, or nothing was measured near.
    """
    if not isinstance(knee, Knee) or bottleneck is None:
        return False
    unknown = bottleneck.category == BottleneckClass.UNDETERMINED
    return knee.label == KneeLabel.ERRORS or unknown or is_guessed(knee)


def is_guessed(knee: Knee | NoKnee) -> bool:
    """Whether the service was held at a rate that may be far from where it breaks."""
    if not isinstance(knee, Knee) or knee.label != KneeLabel.BRACKET:
        return False
    return knee.high >= _FAR_APART * knee.low


def settled(
    bottleneck: Bottleneck, knee: Knee | NoKnee, failures: Failures | None
) -> Bottleneck | None:
    """The bottleneck that goes with the knee; None where the service never broke.

    `failures` is how requests failed where it broke. What fails before it is slow is stopped by
    none of the queues: their class would be one of another load.
    """
    if bottleneck.category == BottleneckClass.LEAK:
        return bottleneck
    if isinstance(knee, NoKnee):
        return _without_knee(bottleneck, knee)
    if knee.label == KneeLabel.RESOURCE:
        return _of_resource(bottleneck, knee)
    if knee.label != KneeLabel.ERRORS or failures is None:
        return bottleneck
    sentence = f"Requests fail before they are slow: {failures}."
    if bottleneck.category == BottleneckClass.LIMITER:
        return bottleneck
    if failures.quick > EVEN and bottleneck.category in QUEUES and not failures.of_proxy:
        return _undetermined((sentence, *bottleneck.evidence), bottleneck)
    return replace(bottleneck, evidence=(sentence, *bottleneck.evidence))


def _without_knee(bottleneck: Bottleneck, knee: NoKnee) -> Bottleneck | None:
    if not breaks(knee):
        return None
    sentence = f"{knee.reason[:1].upper()}{knee.reason[1:].rstrip('.')}."
    if knee.code in _STOPPED_BY:
        return _proved(_STOPPED_BY[knee.code], sentence, bottleneck)
    if knee.code is NoKneeCode.ERRORS_AT_ONCE:
        # Load has no part in it, so none of the classes is about it.
        return _undetermined((sentence,))
    return bottleneck


def _of_resource(bottleneck: Bottleneck, knee: Knee) -> Bottleneck:
    category = _RESOURCES.get(knee.criterion.partition(".")[0])
    # A quota is why the CPU is short, and what leaks is why memory is.
    if category is None or bottleneck.category in (category, *_CAUSES.get(category, ())):
        return bottleneck
    sentence = f"{knee.criterion} is used up at {format_rate(knee.rate)}."
    return _proved(category, sentence, bottleneck)


_CAUSES: Mapping[BottleneckClass, Sequence[BottleneckClass]] = {
    BottleneckClass.CPU: (
        BottleneckClass.CPU_QUOTA,
        BottleneckClass.GIL,
        BottleneckClass.EVENT_LOOP,
    ),
    BottleneckClass.MEMORY: (BottleneckClass.LEAK,),
}


def _proved(category: BottleneckClass, sentence: str, before: Bottleneck) -> Bottleneck:
    """The class that the search itself names, with the classifier's as its runner-up."""
    if before.category == category:
        return replace(
            before, score=max(PROVED, before.score), evidence=(sentence, *before.evidence)
        )
    unknown = before.category == BottleneckClass.UNDETERMINED
    return Bottleneck(
        category=category,
        score=PROVED,
        evidence=(sentence,) if unknown else (sentence, *before.evidence),
        runner_up=None if unknown else before.category,
        runner_up_score=0.0 if unknown else min(before.score, PROVED),
    )


def _undetermined(evidence: tuple[str, ...], before: Bottleneck | None = None) -> Bottleneck:
    return Bottleneck(
        category=BottleneckClass.UNDETERMINED,
        score=0.0,
        evidence=evidence,
        runner_up=before.category if before else None,
        runner_up_score=before.score if before else 0.0,
    )
