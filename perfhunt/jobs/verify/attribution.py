"""What the edited functions have to do with a verdict, from profiles of both versions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from perfhunt.analysis.change.packages import belongs, holds
from perfhunt.analysis.verdict.attributed.attribution import acting, attribute, bound_sentences
from perfhunt.analysis.verdict.prediction import (
    predicted_finding,
    removed,
    score_capacity,
    score_knee,
)
from perfhunt.errors import StoreError
from perfhunt.jobs.verify.installed import with_modules
from perfhunt.jobs.verify.keeping import cautioned
from perfhunt.jobs.verify.request import VerifyResult
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Knee, NoKnee
from perfhunt.model.profile import Frame, FrameKind, Profile, SpanName, Stack, regrouped
from perfhunt.model.run import Run
from perfhunt.model.trial import Phase
from perfhunt.model.units import Cores, PerSecond, Share, format_share
from perfhunt.model.verdict.attribution import Attribution, Measured
from perfhunt.model.verdict.change import Atom, Change, OneChange
from perfhunt.model.verdict.verdict import Verdict, Word
from perfhunt.reports.pictures.flamegraph import differential
from perfhunt.store.files import write_atomic

_UNIX = re.compile(r"unix:[^\]\s]+")
# Of the edited code's samples, below this share waits: the code computes.
HARDLY: Share = 0.1
# Samples in all, of threads, below which a function that doubled cannot be told: a count of 25 has
# a 95 % interval of 16 to 37, one of 50 of 37 to 66 (Poisson).
FEW = 50
# Of the edited code's samples, beyond this share waits: a share of samples bounds nothing.
WAITS: Share = 0.5


@dataclass(frozen=True, slots=True)
class VersionProfiles:
    """One version's profiles with their load: of threads (waits included) and of what ran on a CPU.
    Either may be missing, and `losses` say what of them was.
    """

    wall: Measured | None = None
    cpu: Measured | None = None
    losses: tuple[Caution, ...] = ()


def profiles_of(run: Run) -> VersionProfiles:
    """The profiles a run made at its knee."""
    holds = [t for t in run.trials if t.step.phase is Phase.HOLD]
    if not holds:
        return VersionProfiles()
    completed, resources = holds[-1].completed, holds[-1].resources
    cpu = resources.cpu if resources else None
    threads, running = (
        measured(run.profiles.get(span), completed, cpu)
        for span in (SpanName.KNEE_WAITS, SpanName.KNEE)
    )
    return VersionProfiles(threads, running)


def measured(profile: Profile | None, completed: PerSecond, cpu: Cores | None) -> Measured | None:
    """A profile with its load; None when nothing was sampled."""
    return Measured(profile, completed, cpu) if profile and profile.total else None


def with_attribution(
    result: VerifyResult,
    before: VersionProfiles,
    after: VersionProfiles,
    title: str,
) -> VerifyResult:
    """The result with the edited functions' share in it, and a differential flame graph beside the
    run.
    """
    sampled = [m.profile for each in (before, after) for m in (each.wall, each.cpu) if m]
    change = with_modules(result.change.change, sampled)
    one_change = replace(result.change, change=change)
    attribution = attributed(one_change, before, after, gain_of(result.verdict))
    if attribution is not None:
        told = dict.fromkeys((*_lost("before", before), *_lost("after", after)))
        attribution = replace(attribution, sentences=(*attribution.sentences, *told))
    picture = difference_picture(before, after, title, change)
    return _drawn(replace(result, attribution=attribution), picture)


def _drawn(result: VerifyResult, picture: str) -> VerifyResult:
    if picture and result.directory is not None:
        try:
            write_atomic(result.directory / "difference.svg", picture)
        except StoreError as error:
            return cautioned(result, "a picture is missing", error, CautionCode.NOT_KEPT)
    return result


def _lost(which: str, profiles: VersionProfiles) -> list[str]:
    """What the profiles of a version lack, as sentences."""
    return [f"Of the profile {which}: {caution.sentence}" for caution in profiles.losses]


def gain_of(verdict: Verdict) -> Interval | None:
    """The gain in capacity that was measured; None when the capacity was not."""
    effect = verdict.effect("capacity")
    return effect.speed if effect is not None else None


def attributed(
    one_change: OneChange,
    before: VersionProfiles,
    after: VersionProfiles,
    gain: Interval | None,
) -> Attribution | None:
    """Demand of the edited functions before and after, and the Amdahl check where it applies.

    Demands come from thread time, waits included, where both versions have it and the edited code
    waits; else from time on CPU, which is sampled far more often. None when no profile is of both
    versions.
    """
    waiting = _compared(one_change, before.wall, after.wall, None)
    running = _compared(one_change, before.cpu, after.cpu, gain)
    if waiting is None or running is None:
        chosen = waiting or running
    else:
        chosen = _better(one_change, waiting, running, before, after)
    if chosen is None:
        return None
    if waiting is not None and chosen is not running and (w := _waits(one_change, before)) >= WAITS:
        chosen = replace(
            chosen, share=None, bound=None, sentences=(*chosen.sentences, _waits_sentence(w))
        )
    return chosen


def _better(
    one_change: OneChange,
    waiting: Attribution,
    running: Attribution,
    before: VersionProfiles,
    after: VersionProfiles,
) -> Attribution:
    """Of thread time and time on CPU, the one that says more of this change."""
    waits = _waits(one_change, before)
    most = max(waits, _waits(one_change, after))
    if most < HARDLY or (most < WAITS and _few(waiting)):
        return running
    if waits >= WAITS:
        return waiting
    return replace(
        waiting,
        share=running.share,
        bound=running.bound,
        gain=running.gain,
        explained=running.explained,
        sentences=(*waiting.sentences, *bound_sentences(running)),
    )


def _waits(one_change: OneChange, profiles: VersionProfiles) -> Share:
    """How much of the edited code's thread time is waiting in a version; 0 when it has no such
    profile.
    """
    if profiles.wall is None:
        return 0.0
    return waiting_share(profiles.wall.profile, acting(one_change.change, profiles.wall))


def _few(attribution: Attribution) -> bool:
    return any(min(d.before.n, d.after.n) < FEW for d in attribution.demands)


def _compared(
    one_change: OneChange, before: Measured | None, after: Measured | None, gain: Interval | None
) -> Attribution | None:
    if (
        before is None
        or after is None
        or (before.profile.tool, before.profile.mode) != (after.profile.tool, after.profile.mode)
    ):
        return None
    first, second = (replace(m, profile=without_waits(m.profile)) for m in (before, after))
    return attribute(one_change.change, first, second, gain)


def without_waits(profile: Profile) -> Profile:
    """The profile with each wait left to the function that waits: a wait is nobody's code, so no
    cost can have moved there.
    """

    def kept(stack: Stack) -> Stack:
        return stack[:-1] if stack and stack[-1].kind == FrameKind.WAIT else stack

    return replace(profile, stacks=regrouped(profile.stacks, kept))


def _waits_sentence(share: Share) -> str:
    return (
        f"{format_share(share)} of the edited code's thread time was waiting, so no share of"
        " samples bounds the gain: Amdahl's law counts work, and a queue grows out of proportion"
        " to the work behind it."
    )


def waiting_share(profile: Profile, atoms: Sequence[Atom]) -> Share:
    """How much thread time below the edited functions is waiting; 0 when they are in no sample."""
    inside = [
        (stack, w) for stack, w in profile.stacks.items() if any(holds(stack, a) for a in atoms)
    ]
    total = sum(w for _, w in inside)
    return sum(w for stack, w in inside if _is_wait(stack[-1])) / total if total else 0.0


def _is_wait(frame: Frame) -> bool:
    return frame.kind == FrameKind.WAIT or frame.function.startswith("[")


def scored(
    result: VerifyResult, stored: Run | None, knee: Knee | NoKnee | None = None
) -> VerifyResult:
    """The result with how the stored prediction for the edited code did: against the knee that was
    measured, else against the capacity. As it is where nothing was predicted or measured.
    """
    finding = predicted_finding(result.change.change, stored) if stored is not None else None
    if stored is None or finding is None or result.verdict.word is Word.INVALID:
        return result
    effect = result.verdict.effect("capacity")
    if knee is not None:
        score = score_knee(finding, stored.id, knee)
    else:
        score = score_capacity(finding, stored.id, effect) if effect is not None else None
    if score is not None and result.attribution is not None:
        score = replace(score, removed=removed(score, result.attribution.demands))
    return replace(result, prediction=score)


def difference_picture(
    before: VersionProfiles, after: VersionProfiles, title: str, change: Change | None = None
) -> str:
    """A differential flame graph of the best pair of profiles there is, in time per request; ""
    when there is none. Where nothing but packages was changed it is cut to their code.
    """
    for old, new in ((before.wall, after.wall), (before.cpu, after.cpu)):
        if old is not None and new is not None:
            costs = old.seconds_per_sample, new.seconds_per_sample
            known = (costs[0], costs[1]) if costs[0] and costs[1] else None
            packages = acting(change, old, new) if change and not change.functions else ()
            names = f", in {', '.join(atom.name for atom in packages)}" if packages else ""
            first, second = (_lasting(within(m.profile, packages)) for m in (old, new))
            return differential(first, second, f"What changed, {title}{names}", known)
    return ""


def within(profile: Profile, packages: Sequence[Atom]) -> Profile:
    """The part of a profile that runs below some packages, from their outermost frame on; all of it
    without any.
    """
    if not packages:
        return profile
    stacks: dict[Stack, float] = {}
    for stack, weight in profile.stacks.items():
        inside = (any(belongs(frame, atom) for atom in packages) for frame in stack)
        at = next((i for i, is_inside in enumerate(inside) if is_inside), None)
        if at is not None:
            stacks[stack[at:]] = stacks.get(stack[at:], 0.0) + weight
    return replace(profile, stacks=stacks)


def _lasting(profile: Profile) -> Profile:
    """The profile with Unix sockets named alike: their paths differ from start to start."""

    def alike(stack: Stack) -> Stack:
        if not stack or stack[-1].kind != FrameKind.WAIT:
            return stack
        return (*stack[:-1], replace(stack[-1], function=_UNIX.sub("unix", stack[-1].function)))

    return replace(profile, stacks=regrouped(profile.stacks, alike))
