"""Whether what a diagnosis says contradicts itself, the knee or the runtime."""

from __future__ import annotations

from collections.abc import Iterator

from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.diagnosis.answer.advice import CHANGE, named
from perfhunt.analysis.diagnosis.diagnosis import Diagnosis
from perfhunt.analysis.diagnosis.known.runtimes import traits_of
from perfhunt.analysis.knee.answers.failures import Failures
from perfhunt.analysis.knee.answers.notes import SURE
from perfhunt.model.finding import ON_THE_WIRE, BottleneckClass
from perfhunt.model.knee import Knee, KneeLabel, NoKnee, NoKneeCode
from perfhunt.model.run import Run

_NOTHING_STOPPED = frozenset(
    {
        NoKneeCode.BELOW_MAX_RATE,
        NoKneeCode.BUDGET,
        NoKneeCode.NOT_REACHED,
        NoKneeCode.STOPPED,
        NoKneeCode.TARGET_LOST,
        NoKneeCode.NO_LOAD,
    }
)
_NO_FUNCTION = frozenset(
    {
        BottleneckClass.UNDETERMINED,
        BottleneckClass.GENERATOR,
        BottleneckClass.HOST,
        BottleneckClass.LIMITER,
        BottleneckClass.MEMORY,
        BottleneckClass.NETWORK,
    }
)


def contradictions(
    done: Diagnosis, knee: Knee | NoKnee, failures: Failures | None, evidence: Evidence
) -> Iterator[str]:
    """Each as a sentence."""
    category = done.bottleneck.category if done.bottleneck is not None else None
    traits = traits_of(evidence.runtime, evidence.version)
    if category is not None and not traits.has(category):
        yield f"{evidence.runtime} has no {category}"
    if isinstance(knee, NoKnee):
        yield from _without_knee(done, category, knee)
    elif category is None:
        yield "there is a knee, and nothing is said of what stops the service"
    of_errors = isinstance(knee, Knee) and knee.label == KneeLabel.ERRORS
    refuses = of_errors and failures is not None and failures.policy >= SURE
    if refuses and category != BottleneckClass.LIMITER:
        yield f"the knee's note calls it a limiter, the class is {category}"
    if done.next_step.startswith(CHANGE):
        if category is None or category in _NO_FUNCTION:
            yield f"a function is to be changed, and the class is {category}"
        if done.findings[0].blamed.low <= 0:
            yield "a function is to be changed that may cost nothing"
    if isinstance(knee, Knee):
        yield from between_advice_and_predictions(done, knee)


def between_advice_and_predictions(done: Diagnosis | Run, knee: Knee) -> Iterator[str]:
    """What is to be done, or is said to stop it, and is predicted to move nothing."""
    for finding in done.findings:
        stays = finding.what_if is not None and not finding.what_if.moves(knee.rate)
        if stays and done.next_step.startswith(f"{CHANGE}{named(finding)},"):
            yield f"{finding.function} is to be changed, and would move nothing"
    category = done.bottleneck.category if done.bottleneck is not None else None
    for finding in done.findings[:1]:
        stays = finding.what_if is not None and not finding.what_if.moves(knee.rate)
        if stays and finding.category is category and category in ON_THE_WIRE:
            yield f"{category} is said to stop it, and mending it would move nothing"


def _without_knee(done: Diagnosis, category: BottleneckClass | None, knee: NoKnee) -> Iterator[str]:
    if knee.code in _NOTHING_STOPPED and category is not None:
        yield f"nothing stopped it ({knee.code}), and {category} is said to"
    if any(finding.what_if is not None for finding in done.findings):
        yield "a knee is predicted that is not there"
    if knee.code is NoKneeCode.GENERATOR_LIMITED and category != BottleneckClass.GENERATOR:
        yield f"the generator ended the search, and the class is {category}"
    if knee.code is NoKneeCode.HOST_BUSY and category != BottleneckClass.HOST:
        yield f"other work ended the search, and the class is {category}"
