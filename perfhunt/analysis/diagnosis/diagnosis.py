"""From evidence to an answer: suspects ranked, the class of bottleneck, the doubts, and what to do
next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.blame.wall import WallProfile, wall_profiles
from perfhunt.analysis.diagnosis.cautions import cautions
from perfhunt.analysis.diagnosis.classify import classify
from perfhunt.analysis.diagnosis.leak import drift_cautions, with_leak
from perfhunt.analysis.diagnosis.prediction.whatif import with_what_if
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.rules.wire import FIXES
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.analysis.diagnosis.waterfall.bridge import waterfall
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.analysis.knee.resource_limits import resource_cautions
from perfhunt.model.finding import Bottleneck, Caution, Finding, ProbeEffect, Waterfall
from perfhunt.model.knee import Knee, NoKneeCode
from perfhunt.model.profile import SpanName
from perfhunt.model.slo import Objective
from perfhunt.model.trial import Trial


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What stops the service, why we think so, and what to do next. `walls` says, by span, where
    threads worked or waited, and who waited for work.
    """

    findings: tuple[Finding, ...]
    bottleneck: Bottleneck
    cautions: tuple[Caution, ...]
    next_step: str
    walls: Mapping[SpanName, WallProfile] = field(default_factory=dict)
    waterfall: Waterfall | None = None


def diagnose(
    evidence: Evidence,
    climb: SearchResult,
    effect: ProbeEffect | None,
    trials: Sequence[Trial],
    objectives: Sequence[Objective] = (),
) -> Diagnosis:
    """The diagnosis of one investigation; every piece of evidence may be missing."""
    reading = read_evidence(evidence)
    suspects = suspects_of(reading)
    bottleneck = with_leak(classify(reading, suspects), climb.drift, trials)
    ranked = rank(reading, suspects)
    findings = with_what_if(ranked, reading, suspects, climb, trials)
    doubts = (
        *resource_cautions(objectives, trials, climb.knee),
        *drift_cautions(climb.drift, trials, climb.knee),
        *cautions(reading, climb.knee, findings, bottleneck, effect, trials),
    )
    return Diagnosis(
        findings=findings,
        bottleneck=bottleneck,
        cautions=doubts,
        next_step=next_step(findings, climb, bottleneck),
        walls=wall_profiles(reading),
        waterfall=_waterfall(evidence, bottleneck),
    )


def _waterfall(evidence: Evidence, bottleneck: Bottleneck) -> Waterfall:
    """What load added, by the one pass in which threads were looked at."""
    reading = read_evidence(evidence.of_waits)
    return waterfall(reading, suspects_of(reading), bottleneck)


def next_step(findings: Sequence[Finding], climb: SearchResult, bottleneck: Bottleneck) -> str:
    """The one thing to do now, as a sentence with the command that checks it."""
    code = None if isinstance(climb.knee, Knee) else climb.knee.code
    if code == NoKneeCode.GENERATOR_LIMITED:
        return (
            "The generator ran out before the service did: run again with --workers 2, or from"
            " another machine."
        )
    if code == NoKneeCode.BELOW_MAX_RATE:
        return (
            "The service held every rate that was allowed:"
            " raise [safety] max_rate if you need to know where it breaks."
        )
    if fix := FIXES.get(bottleneck.category):
        return f"{fix}; restart the service, then: perfhunt verify --pid NEW_PID"
    if not findings:
        return (
            "No function could be named: run perfhunt doctor --pid PID and mend what it lists, then"
            " investigate again."
        )
    first = findings[0]
    where = (
        f" ({first.file}:{first.line})" if first.line else f" ({first.file})" if first.file else ""
    )
    return (
        f"Change {first.function}{where}, that alone, restart the service, then:"
        " perfhunt verify --pid NEW_PID"
    )


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
        states=running.states or waiting.states,
        resources=running.resources or waiting.resources,
        waits=None if running.instants is not None else waiting,
        losses=(*running.losses, *waiting.losses),
    )
