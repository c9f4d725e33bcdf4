"""The doubts about a run, each a full sentence with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import EvidenceReading
from perfhunt.analysis.diagnosis.answer.advice import tied
from perfhunt.analysis.diagnosis.answer.load_doubts import about_load, when_held
from perfhunt.analysis.diagnosis.features import wire_at_knee
from perfhunt.analysis.diagnosis.known.runtimes import compiling
from perfhunt.analysis.diagnosis.known.short_lived import short_lived
from perfhunt.analysis.diagnosis.rules.wire import FIXES
from perfhunt.analysis.trial.interference import disturbance
from perfhunt.analysis.trial.probe import cpu_taken
from perfhunt.model.finding import (
    Bottleneck,
    BottleneckClass,
    Caution,
    CautionCode,
    Finding,
    ProbeEffect,
)
from perfhunt.model.knee import Knee, KneeLabel, NoKnee, NoKneeCode
from perfhunt.model.profile import EvidenceKind, Loss, Profile, ProfileMode
from perfhunt.model.states import ThreadState
from perfhunt.model.trial import Trial
from perfhunt.model.units import Cores, Share, format_duration, format_rate, format_share, times


@dataclass(frozen=True, slots=True)
class CautionThresholds:
    """From when a doubt is worth a reader's time."""

    # High end of the knee's interval over the low end: beyond it two versions cannot be told apart
    # by their knees.
    knee_wide: float = 1.3
    # Samples: with fewer, a share of 20 % is known to no better than a fifth of itself (two
    # standard errors).
    few_samples: float = 400
    hardly_any: float = 25  # with fewer, one of half is not told from one of a third
    few_instants: int = 40  # with fewer, a wait seen half of the time is known to 16 points at best
    lossy: Share = 0.05  # of the samples, or of any evidence, what could not be read
    # Cores that must be used before the profile is asked to explain them, and the part that it
    # should: less than that is not the error of a short profile.
    explained_from: Cores = 0.3
    explained: Share = 0.6
    # Share of the host's CPU in use, and of the target's cores, between which others took it.
    host_busy: Share = 0.9
    target_not_busy: Share = 0.7
    # Of the CPU that the target used, what its compilers took: a service that is warm leaves them
    # one or two hundredths.
    not_warm: Share = 0.1
    # Of the answers, those that wait for an acknowledgement: what a p99 leaves room for.
    held_back: Share = 0.01


THRESHOLDS = CautionThresholds()
_FLOOR = " at the floor"
_NUMBER = re.compile(r"\d[\d.,]*")
_ALL_STATES = "syscall"  # the source of states that names what a thread waits for
_SEE_NEXT = "The next step says what to do about that."
_MAY_READ = "Run as root or as the owner of the service: perfhunt doctor --pid PID."


def cautions(
    reading: EvidenceReading,
    knee: Knee | NoKnee,
    findings: Sequence[Finding],
    bottleneck: Bottleneck | None,
    effect: ProbeEffect | None,
    trials: Sequence[Trial],
) -> tuple[Caution, ...]:
    """Every doubt that applies to this run, in the order a reader should weigh them."""
    evidence = reading.evidence
    missing, partly = _lost_at_the_knee(evidence.knee)
    return (
        *_about_absence(evidence, knee),
        *missing,
        *about_load(trials, knee),
        *_about_knee(knee, findings, when_held(trials)),
        *about_probe(effect),
        *_about_profile(evidence),
        *partly,
        *_lost_at_the_floor(evidence),
        *_about_findings(findings, bottleneck, knee),
        *_about_wire(reading, bottleneck),
        *_about_compilers(evidence),
        *(() if disturbance(trials) else _about_host(evidence)),
    )


def _about_knee(knee: Knee | NoKnee, findings: Sequence[Finding], held: str) -> Iterator[Caution]:
    if isinstance(knee, NoKnee):
        yield Caution(
            CautionCode.NO_KNEE,
            f"There is no knee: {knee.reason.rstrip('.')}.",
            "Findings describe the highest load that held." if findings else _SEE_NEXT,
        )
    elif knee.label == KneeLabel.SOFT:
        yield Caution(
            CautionCode.KNEE_SOFT,
            "The knee is soft: latency crosses the limit gradually around"
            f" {format_rate(knee.rate)}.",
            "Compare two versions at the same rate, rather than by their knees.",
        )
    elif knee.high > THRESHOLDS.knee_wide * knee.low > 0:
        yield Caution(
            CautionCode.KNEE_WIDE,
            f"The knee is only known to lie between {format_rate(knee.low)}"
            f" and {format_rate(knee.high)}{held}.",
            "Give the ramp a larger budget.",
        )


def about_probe(effect: ProbeEffect | None) -> Iterator[Caution]:
    """What profiling did to the service, where it is worth a doubt, or not known."""
    if effect is None:
        return
    if effect.flagged:
        cost = f"p99 x{effect.p99:.2f}" if effect.p99 is not None else "throughput down"
        yield Caution(
            CautionCode.PROBE_EFFECT,
            f"Profiling changed the service ({cost}): {effect.note or 'more than 5 %'}.",
            "Trust the order of findings, not their milliseconds; knee and SLO come from spans"
            " without profilers.",
        )
    taken = cpu_taken(effect)
    if taken is not None:
        yield Caution(
            CautionCode.PROBE_EFFECT,
            "A request took the service"
            f" {format_share(taken.value - 1)} more CPU while profiled"
            f" ({format_share(taken.low - 1)} to {format_share(taken.high - 1)}, n={taken.n}):"
            " what functions use of the CPU includes what looking at them took, unless it was work"
            " that comes now and then.",
            "Trust the order of findings, not their CPU; the knee comes from spans without"
            " profilers.",
        )
    if effect.p99 is None and not effect.flagged:
        yield Caution(
            CautionCode.PROBE_UNKNOWN,
            f"What profiling cost is not known: {effect.note}.",
            "Hold at a lower rate.",
        )


def _about_absence(evidence: Evidence, knee: Knee | NoKnee) -> Iterator[Caution]:
    span = evidence.knee
    if not evidence.watched:
        yield Caution(
            CautionCode.NO_PROFILE,
            "Nothing was profiled, as was asked for: no function is named.",
            "Run it again without --profile off.",
        )
    elif span.profile is None and span.instants is None and not _itself(knee):
        yield Caution(
            CautionCode.NO_PROFILE,
            f"Nothing was profiled at the knee{_because(_whole(span, EvidenceKind.ON_CPU))}.",
            "perfhunt doctor --pid PID says what is missing.",
        )


def _itself(knee: Knee | NoKnee) -> bool:
    """Whether there was nothing of the service to profile."""
    return isinstance(knee, NoKnee) and knee.code is NoKneeCode.TEST_ITSELF


def _about_profile(evidence: Evidence) -> Iterator[Caution]:
    span = evidence.knee
    if span.profile is None and span.instants is None:
        return
    if span.profile is not None:
        yield from _about_samples(span.profile)
        if not span.profile.mostly_lost:  # Then it is the profiler that missed what ran.
            yield from _about_native(evidence, span.profile)
    if span.instants is not None and len(span.instants) < THRESHOLDS.few_instants:
        yield Caution(
            CautionCode.INSTANTS_FEW,
            f"Waits were looked at {times(len(span.instants))} only, so their shares are rough.",
            'Hold longer: [ramp] hold = "60s".',
        )
    if span.instants is None:
        yield Caution(
            CautionCode.NO_INSTANTS,
            "Waits could not be tied to code, so only CPU users are ranked"
            f"{_because(_whole(span, EvidenceKind.WAITS))}.",
            "perfhunt doctor --pid PID",
        )
    elif evidence.idle is None and evidence.baseline is None:
        yield Caution(
            CautionCode.NO_IDLE,
            "The service was never seen without load, so an idle wait may pass for a real one.",
            "",
        )


def loss_cautions(span: Span, where: str = "") -> Iterator[Caution]:
    """One doubt for each piece of evidence that was looked for and not got in a span, with its
    size; losses too small to move a share are left out.
    """
    for loss in dict.fromkeys((*span.losses, *_unread_states(span))):
        if loss.share is not None and loss.share < THRESHOLDS.lossy:
            continue
        amount = "An unknown part" if loss.share is None else format_share(loss.share)
        if loss.share == 1.0:
            amount = "All"
        what = str(loss.what).removeprefix("the ")
        place = "" if loss.what is EvidenceKind.IDLE else where
        yield Caution(
            CautionCode.EVIDENCE_LOST,
            f"{amount} of the {what}{place} are missing: {loss.why.rstrip('.')}.",
            loss.next,
        )


def _lost_at_the_floor(evidence: Evidence) -> Iterator[Caution]:
    """What was lost at the floor, but for what was lost for the same reason at the knee, however
    often.
    """
    if evidence.baseline is not None:
        knee = {_reason(e) for e in (*evidence.knee.losses, *_unread_states(evidence.knee))}
        floor = (*evidence.baseline.losses, *_unread_states(evidence.baseline))
        losses = tuple(loss for loss in floor if _reason(loss) not in knee)
        yield from loss_cautions(replace(evidence.baseline, losses=losses, states=None), _FLOOR)


def _reason(loss: Loss) -> tuple[str, bool, str]:
    """What was lost, whether all of it, and why, without its numbers."""
    return str(loss.what), loss.share == 1.0, _NUMBER.sub("", loss.why)


def _whole(span: Span, what: EvidenceKind) -> Loss | None:
    """Why a span has nothing at all of a kind; None when nobody said."""
    return next((loss for loss in span.losses if loss.what is what and loss.share == 1.0), None)


def _lost_at_the_knee(span: Span) -> tuple[list[Caution], list[Caution]]:
    """What is missing altogether, which a reader should know first, and what is missing in part;
    without what other doubts about the profile tell of already.
    """
    told = set()
    if span.instants is None:
        told.add(_whole(span, EvidenceKind.WAITS))
        if span.profile is None:
            told.add(_whole(span, EvidenceKind.ON_CPU))
    left = [loss for loss in span.losses if loss not in told]
    whole = tuple(loss for loss in left if loss.share == 1.0)
    partly = tuple(loss for loss in left if loss.share != 1.0)
    missing = loss_cautions(replace(span, losses=whole, states=None))
    return [*missing], [*loss_cautions(replace(span, losses=partly))]


def _because(loss: Loss | None) -> str:
    return f": {loss.why.rstrip('.')}" if loss else ""


def _unread_states(span: Span) -> Iterator[Loss]:
    """What the kernel would not say of threads; it is read by nobody who could tell it here."""
    if span.states is None:
        return
    share = 1.0 if span.states.source != _ALL_STATES else None
    for note in span.states.notes:
        yield Loss(EvidenceKind.STATES, share, note, _MAY_READ)


_WHAT_RUNS = "What runs is taken from looks at all threads; the profile's notes say what it missed."


def _about_samples(profile: Profile) -> Iterator[Caution]:
    if profile.total < THRESHOLDS.few_samples:
        few = profile.total < THRESHOLDS.hardly_any
        enough = "too few for any share" if few else "enough for large shares only"
        yield Caution(
            CautionCode.PROFILE_SHORT,
            f"The profile of this load holds {profile.counted}: {enough}.",
            'Hold longer: [ramp] hold = "60s".',
        )
    lost = profile.errors + profile.dropped
    if lost > THRESHOLDS.lossy * max(profile.total, 1.0):
        yield Caution(
            CautionCode.PROFILE_LOSSY,
            f"{lost:,} look{'' if lost == 1 else 's'} could not be read, beside"
            f" {profile.counted} that were.",
            _WHAT_RUNS if profile.mostly_lost else "Short functions may be under-counted.",
        )


def _about_native(evidence: Evidence, profile: Profile) -> Iterator[Caution]:
    """On-CPU time far beyond what the stacks explain runs in code that the profiler does not see.

    The holder of the GIL is in no native code that released it (compression, hashes, arrays);
    threads that only ask for the GIL are running too, so there the CPU time that was used is the
    measure.
    """
    states, resources = evidence.knee.states, evidence.knee.resources
    explained = profile.mean_threads
    if explained is None or profile.mode not in (ProfileMode.CPU, ProfileMode.GIL):
        return
    if profile.mode == ProfileMode.GIL:
        used = (resources.cpu if resources else None) or 0.0
    else:
        used = states.in_state(ThreadState.ON_CPU) if states is not None else 0.0
    if used > THRESHOLDS.explained_from and explained < THRESHOLDS.explained * used:
        brief = short_lived(evidence.knee, used - explained)
        how = "native stacks: perf record -g -p PID" if not brief else "those: perf record -a -g"
        yield Caution(
            CautionCode.NATIVE_SHARE,
            brief
            or f"Threads used {used:.2f} cores but stacks explain {explained:.2f}:"
            " the rest is in the kernel or in native code.",
            f"perf sees {how}, under the same load.",
        )


def _about_findings(
    findings: Sequence[Finding], bottleneck: Bottleneck | None, knee: Knee | NoKnee
) -> Iterator[Caution]:
    if tied(findings):
        yield Caution(
            CautionCode.TOP_TWO_CLOSE,
            f"{findings[0].function} and {findings[1].function}"
            " cannot be told apart by what they cost.",
            'Hold longer, [ramp] hold = "60s"; or change one, verify, and look again.',
        )
    # Where requests fail at any load, the knee's own caution has said so.
    at_once = isinstance(knee, NoKnee) and knee.code is NoKneeCode.ERRORS_AT_ONCE
    unknown = bottleneck is not None and bottleneck.category == BottleneckClass.UNDETERMINED
    if bottleneck is not None and unknown and not at_once:
        yield Caution(
            CautionCode.UNDETERMINED,
            bottleneck.evidence[0],
            "Hold longer, or look at the thread states in the report.",
        )


def _about_wire(reading: EvidenceReading, bottleneck: Bottleneck | None) -> Iterator[Caution]:
    """What happens between client and service beside what stops it."""
    seen = wire_at_knee(reading)
    if seen is None:
        return
    wire, category = seen.wire, bottleneck.category if bottleneck is not None else None
    if (
        wire.held > THRESHOLDS.held_back * wire.answers
        and category is not BottleneckClass.DELAYED_ACK
    ):
        delay = format_duration(wire.held_total / wire.held)
        yield Caution(
            CautionCode.DELAYED_ACK,
            f"{format_share(wire.held / wire.answers)} of answers wait {delay} for the client's"
            " delayed acknowledgement, at any load.",
            f"{FIXES[BottleneckClass.DELAYED_ACK]}.",
        )
    if seen.overflows and category is not BottleneckClass.BACKLOG:
        limit = f" (it takes {seen.accept_backlog:,})" if seen.accept_backlog is not None else ""
        yield Caution(
            CautionCode.ACCEPT_QUEUE,
            f"Connections on this host found an accept queue full {seen.overflows:,} times{limit}:"
            " each waits a second or more.",
            f"{FIXES[BottleneckClass.BACKLOG]}.",
        )


def _about_compilers(evidence: Evidence) -> Iterator[Caution]:
    """A JVM that compiled at the knee: the code that was measured is not what will run later."""
    states = evidence.knee.states
    if evidence.runtime != "jvm" or states is None:
        return
    took, used = compiling(states), states.in_state(ThreadState.ON_CPU)
    if took > THRESHOLDS.not_warm * used:
        yield Caution(
            CautionCode.COMPILING,
            f"The JVM's compilers used {took:.2f} of the service's {used:.2f} cores at the knee: it"
            " was not warm, and is quicker once it is.",
            "Let it serve for some minutes before, then measure again: the knee may lie higher.",
        )


def _about_host(evidence: Evidence) -> Iterator[Caution]:
    resources = evidence.knee.resources
    if (
        resources is None
        or resources.host_cpu_share is None
        or resources.cpu is None
        or not evidence.cores
    ):
        return
    not_busy = resources.cpu < THRESHOLDS.target_not_busy * evidence.cores
    if resources.host_cpu_share > THRESHOLDS.host_busy and not_busy:
        yield Caution(
            CautionCode.HOST_BUSY,
            f"The host was {format_share(resources.host_cpu_share)} busy while the target used"
            f" {resources.cpu:.2f} cores:"
            " something else (the generator, a neighbour) took CPU from it.",
            "Run the generator on another machine, or pin both to cores of their own.",
        )
