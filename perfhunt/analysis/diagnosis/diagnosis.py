"""From evidence to an answer: suspects ranked, the class of bottleneck, the doubts, and what to do
next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.analysis.blame.reading import EvidenceReading, read_evidence
from perfhunt.analysis.blame.wall import WallProfile, wall_profiles
from perfhunt.analysis.diagnosis.answer.advice import named, next_step
from perfhunt.analysis.diagnosis.answer.limit_doubts import about_limits
from perfhunt.analysis.diagnosis.answer.refusing import (
    Refuser,
    read_refuser,
    refusing,
)
from perfhunt.analysis.diagnosis.answer.settled import is_guessed, settled
from perfhunt.analysis.diagnosis.cautions import cautions
from perfhunt.analysis.diagnosis.classify import ANSWER, classify
from perfhunt.analysis.diagnosis.known.greenlets import greenlet_cautions
from perfhunt.analysis.diagnosis.known.left_behind import left_behind
from perfhunt.analysis.diagnosis.known.uneven import uneven
from perfhunt.analysis.diagnosis.leak import drift_cautions, with_leak
from perfhunt.analysis.diagnosis.prediction.foreseen import (
    not_the_wait,
    told,
    with_more_cores,
    without_the_wait,
)
from perfhunt.analysis.diagnosis.prediction.whatif import with_what_if
from perfhunt.analysis.diagnosis.ranking import finding_of, kinds_of, rank
from perfhunt.analysis.diagnosis.suspects import Suspects, suspects_of
from perfhunt.analysis.diagnosis.waterfall.agreement import contradiction
from perfhunt.analysis.diagnosis.waterfall.bridge import waterfall
from perfhunt.analysis.knee.answers.failures import NEARBY, Failures, failures_of
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.analysis.knee.resource_limits import resource_cautions
from perfhunt.model.finding import (
    Bottleneck,
    BottleneckClass,
    Caution,
    Finding,
    ProbeEffect,
    Waterfall,
    WhatIf,
)
from perfhunt.model.knee import Knee, KneeLabel, NoKnee
from perfhunt.model.profile import SpanName
from perfhunt.model.slo import Objective
from perfhunt.model.trial import Trial
from perfhunt.model.units import format_rate


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What stops the service, why we think so, and what to do next. `bottleneck` is None where
    nothing was seen to stop it; then the findings say what it spends its time on. `walls` says, by
    span, where threads worked or waited, and who waited for work.
    """

    findings: tuple[Finding, ...]
    bottleneck: Bottleneck | None
    cautions: tuple[Caution, ...]
    next_step: str
    walls: Mapping[SpanName, WallProfile] = field(default_factory=dict)
    waterfall: Waterfall | None = None


_NOT_OTHER_WORK = (
    "Other work took cores from the service, but what load added to its latency is something else."
)


@dataclass(frozen=True, slots=True)
class _Suspicion:
    """One way to read the evidence: as it is at the knee, or above it."""

    reading: EvidenceReading
    suspects: Suspects
    bottleneck: Bottleneck


def diagnose(
    evidence: Evidence,
    climb: SearchResult,
    effect: ProbeEffect | None,
    trials: Sequence[Trial],
    objectives: Sequence[Objective] = (),
) -> Diagnosis:
    """The diagnosis of one investigation; every piece of evidence may be missing."""
    failures = failures_there(evidence, climb)
    at_knee = _suspicion(evidence, failures)
    above = None
    if evidence.above is not None:
        above = _suspicion(replace(evidence, knee=evidence.above, above=None), failures)
    seen = _that_tells(at_knee, above, climb.knee)
    leaky = with_leak(seen.bottleneck, climb.drift, trials)
    bottleneck = settled(leaky, climb.knee, failures)
    # The latency at the knee says nothing of a class that shows above it.
    fall = _waterfall(evidence, bottleneck if seen is at_knee else None)
    known: WhatIf | None = None
    if bottleneck is not None and isinstance(climb.knee, Knee):
        weighed = _weighed(bottleneck, fall) if seen is at_knee else bottleneck
        known = without_the_wait(weighed, seen.reading, seen.suspects, climb, trials)
        if known is not None and not known.moves(climb.knee.rate):
            weighed, known = not_the_wait(weighed, known), None
        # What is not said any more is not contradicted either.
        fall = fall if weighed.category == bottleneck.category else _waterfall(evidence, weighed)
        bottleneck = weighed
    category = bottleneck.category if bottleneck else BottleneckClass.UNDETERMINED
    findings, refuser = rank(seen.reading, seen.suspects, category), None
    if bottleneck is not None and isinstance(climb.knee, Knee):
        findings = with_what_if(findings, seen.reading, seen.suspects, climb, trials)
        bottleneck = told(bottleneck, known, findings) if known is not None else bottleneck
        bottleneck = with_more_cores(bottleneck, seen.reading, seen.suspects, climb, trials)
        if failures is not None and climb.knee.label == KneeLabel.ERRORS:
            refuser = _refuser(findings, bottleneck, at_knee, above, failures)
            if refuser is not None:
                findings, bottleneck = _with_refuser(findings, bottleneck, refuser)
    doubts = (
        *resource_cautions(objectives, trials, climb.knee),
        *drift_cautions(climb.drift, trials, climb.knee),
        *left_behind(seen.reading),
        *uneven(seen.reading),
        *cautions(seen.reading, climb.knee, findings, bottleneck, effect, trials),
        *about_limits(trials, bottleneck),
        *greenlet_cautions(seen.reading.knee, bottleneck),
    )
    return Diagnosis(
        findings=findings,
        bottleneck=bottleneck,
        cautions=doubts,
        next_step=(refuser.advice if refuser is not None else "")
        or next_step(findings, _kinds(findings, seen.suspects), bottleneck, climb.knee, evidence),
        walls=wall_profiles(at_knee.reading),
        waterfall=fall,
    )


def _waterfall(evidence: Evidence, bottleneck: Bottleneck | None) -> Waterfall:
    """What load added, by the one pass in which threads were looked at."""
    reading = read_evidence(evidence.of_waits)
    return waterfall(reading, suspects_of(reading), bottleneck)


def _weighed(bottleneck: Bottleneck, fall: Waterfall) -> Bottleneck:
    """The class with the score that its waterfall leaves it. Other work on the host is there at any
    load: where load added nothing of it, it is not what stops the service.
    """
    against = None
    if fall.unexplained is not None:
        against = contradiction(bottleneck, fall.parts, fall.unexplained)
    if against is None:
        return bottleneck
    score = against.share * bottleneck.score
    if bottleneck.category != BottleneckClass.HOST or score >= ANSWER.least:
        return replace(bottleneck, score=min(bottleneck.score, max(ANSWER.least, score)))
    return Bottleneck(
        category=BottleneckClass.UNDETERMINED,
        score=score,
        evidence=(_NOT_OTHER_WORK, *bottleneck.evidence),
        runner_up=bottleneck.category,
        runner_up_score=score,
    )


def failures_there(evidence: Evidence, climb: SearchResult) -> Failures | None:
    """How requests failed where the service broke, by the search's trials and the hold above; None
    where there is no knee that they could explain, or they failed only far above it.
    """
    knee = climb.knee
    if not isinstance(knee, Knee):
        return None
    above = evidence.above.trial if evidence.above is not None else None
    near = [t for t in (*climb.trials, above) if t and t.step.rate <= NEARBY * knee.high]
    return failures_of(near, evidence.baseline.trial if evidence.baseline else None)


def _suspicion(evidence: Evidence, failures: Failures | None) -> _Suspicion:
    reading = read_evidence(evidence)
    suspects = suspects_of(reading)
    return _Suspicion(reading, suspects, classify(reading, suspects, failures))


def _that_tells(at_knee: _Suspicion, above: _Suspicion | None, knee: Knee | NoKnee) -> _Suspicion:
    """What was seen at the knee, or above it where only there a class stands out, or nobody knows
    how near the knee is.
    """
    unknown = BottleneckClass.UNDETERMINED
    if above is None or not (at_knee.bottleneck.category == unknown or is_guessed(knee)):
        return at_knee
    trial = above.reading.knee.span.trial
    if above.bottleneck.category == unknown or trial is None:
        return at_knee
    sentence = f"Held at {format_rate(trial.step.rate)}, above the knee, where it shows."
    told = replace(above.bottleneck, evidence=(*above.bottleneck.evidence, sentence))
    return replace(above, bottleneck=told)


def _refuser(
    findings: tuple[Finding, ...],
    bottleneck: Bottleneck,
    at_knee: _Suspicion,
    above: _Suspicion | None,
    failures: Failures,
) -> Refuser | None:
    """The function that refuses: caught at it above the knee, or read in the code that writes the
    status. One that was caught may be any that more requests bring up: where the code is known, it
    must have it run for what is refused alone.
    """
    limits = bottleneck.category == BottleneckClass.LIMITER
    withheld = findings[0].withheld if findings else ""
    often: list[FunctionKey] = []
    if above is not None:
        seen = refusing(at_knee.reading.knee, above.reading.knee, above.reading.code)
        often = [key for key in seen if key in above.suspects.by_function]
    read = read_refuser((above or at_knee).reading, failures, often) if limits else None
    if read is not None and read.advice:
        often = [key for key in often if key in read.only]
    if above is not None and often:
        suspect = above.suspects.by_function[often[0]]
        finding = finding_of(1, suspect, above.reading, above.suspects.trails)
        kind = BottleneckClass.LIMITER if limits else BottleneckClass.OTHER
        finding = replace(finding, category=kind, withheld=withheld)
        return Refuser(
            finding,
            f"What refuses is {named(finding)}: it is seen above the knee, and hardly at it.",
        )
    if read is None or read.finding is None:
        return read
    return replace(read, finding=replace(read.finding, withheld=withheld))


def _with_refuser(
    findings: tuple[Finding, ...], bottleneck: Bottleneck, refuser: Refuser
) -> tuple[tuple[Finding, ...], Bottleneck]:
    """The findings with the function in front that refuses, where one is known: one of the same
    function that costs more stays beside it. The bottleneck's evidence names it, and its score
    is no surer than that is.
    """
    evidence = (bottleneck.evidence[0], refuser.sentence, *bottleneck.evidence[1:])
    score = min(bottleneck.score, refuser.score)
    bottleneck = replace(
        bottleneck,
        evidence=evidence,
        score=score,
        runner_up_score=min(bottleneck.runner_up_score, score),
    )
    first = refuser.finding
    if first is None:
        return findings, bottleneck
    others = [
        f
        for f in findings
        if (f.function, f.file) != (first.function, first.file)
        or f.blamed.value > first.blamed.value
    ]
    return (first, *(replace(f, rank=rank) for rank, f in enumerate(others, 2))), bottleneck


def _kinds(findings: Sequence[Finding], suspects: Suspects) -> frozenset[BottleneckClass]:
    """The kinds of time that the first finding costs."""
    if not findings:
        return frozenset()
    first = findings[0]
    suspect = suspects.culprits().get((first.function, first.file))
    return frozenset({first.category, *(kinds_of(suspect.knee) if suspect is not None else ())})


def joined(running: Span | None, waiting: Span) -> Span:
    """Two passes at the same load as one span: the first with something to say of each kind is
    heard.

    The rate is the mean of both; the on-CPU profile keeps the resources of its own pass, since its
    shares divide those.
    """
    if running is None:
        return waiting
    return replace(
        running,
        completed=(running.completed + waiting.completed) / 2,
        profile=running.profile or waiting.profile,
        instants=running.instants or waiting.instants,
        in_service=running.in_service or waiting.in_service,
        states=running.states or waiting.states,
        resources=running.resources or waiting.resources,
        waits=None if running.instants is not None else waiting,
        peers=running.peers if running.peers is not None else waiting.peers,
        losses=(*running.losses, *waiting.losses),
    )
