"""What the edited functions have to do with a verdict, from profiles of both versions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from perfhunt.analysis.change.changed_frames import holds, is_frame_of
from perfhunt.analysis.verdict.attribution import against_prediction, attribute, bound_sentences
from perfhunt.model.finding import WhatIf
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Knee, NoKnee
from perfhunt.model.profile import Frame, FrameKind, Profile, SpanName, Stack
from perfhunt.model.run import Run
from perfhunt.model.trial import Phase
from perfhunt.model.units import Share, format_share
from perfhunt.model.verdict.attribution import Attribution, Measured
from perfhunt.model.verdict.change import Atom, OneChange
from perfhunt.model.verdict.verdict import Verdict
from perfhunt.reports.pictures.flamegraph import differential

_UNIX = re.compile(r"unix:[^\]\s]+")
HARDLY: Share = 0.1  # of the edited code's samples: below it the code computes
FEW = 50  # samples in all, of threads: too few to tell a function that doubled
# of the edited code's samples: beyond it the code waits, and a share of samples bounds nothing
WAITS: Share = 0.5


@dataclass(frozen=True, slots=True)
class Sides:
    """One version's profiles with their load: of threads (waits included) and of what ran on a CPU.
    Either may be missing.
    """

    wall: Measured | None = None
    cpu: Measured | None = None


def sides_of(run: Run) -> Sides:
    """The profiles a run made at its knee."""
    held = [t for t in run.trials if t.step.phase is Phase.HOLD]
    if not held:
        return Sides()
    cores = held[-1].resources.cpu if held[-1].resources else None

    def measured(profile: Profile | None) -> Measured | None:
        return (
            None
            if profile is None or not profile.total
            else Measured(profile, held[-1].completed, cores)
        )

    return Sides(
        measured(run.profiles.get(SpanName.KNEE_WAITS)), measured(run.profiles.get(SpanName.KNEE))
    )


def gain_of(verdict: Verdict) -> Interval | None:
    """The gain in capacity that was measured; None when the capacity was not."""
    effect = verdict.effect("capacity")
    return effect.speed if effect is not None else None


def attributed(
    one: OneChange,
    before: Sides,
    after: Sides,
    gain: Interval | None,
    stored: Run | None = None,
    knee: Knee | NoKnee | None = None,
) -> Attribution | None:
    """Demand of the edited functions before and after, the Amdahl check where it applies, and the
    stored prediction.

    Demands come from thread time, waits included, where both versions have it and the edited code
    waits; else from time on CPU, which is sampled far more often. None when no profile is of both
    versions.
    """
    demands = _compared(one, before.wall, after.wall, None)
    running = _compared(one, before.cpu, after.cpu, gain)
    found = demands or running
    if found is None:
        return None
    waits = (
        waiting_share(before.wall.profile, one.change.functions) if demands and before.wall else 0.0
    )
    grown = (
        waiting_share(after.wall.profile, one.change.functions) if demands and after.wall else 0.0
    )
    if (
        demands
        and running
        and (max(waits, grown) < HARDLY or (max(waits, grown) < WAITS and _few(demands)))
    ):
        found = running
    elif demands and running and waits < WAITS:
        found = replace(
            demands,
            share=running.share,
            bound=running.bound,
            gain=running.gain,
            explained=running.explained,
            sentences=(*demands.sentences, *bound_sentences(running)),
        )
    elif demands and waits >= WAITS:
        found = replace(
            demands, share=None, bound=None, sentences=(*demands.sentences, _waits(waits))
        )
    said = prediction_sentence(one, stored, knee)
    return replace(found, sentences=(*found.sentences, said)) if said else found


def _few(found: Attribution) -> bool:
    return any(min(d.before.n, d.after.n) < FEW for d in found.demands)


def _compared(
    one: OneChange, before: Measured | None, after: Measured | None, gain: Interval | None
) -> Attribution | None:
    if (
        before is None
        or after is None
        or (before.profile.tool, before.profile.mode) != (after.profile.tool, after.profile.mode)
    ):
        return None
    first, second = (replace(m, profile=without_waits(m.profile)) for m in (before, after))
    return attribute(one.change, first, second, gain)


def without_waits(profile: Profile) -> Profile:
    """The profile with each wait left to the function that waits: a wait is nobody's code, so no
    cost can have moved there.
    """
    stacks: dict[Stack, float] = {}
    for stack, weight in profile.stacks.items():
        key = stack[:-1] if stack and stack[-1].kind == FrameKind.WAIT else stack
        stacks[key] = stacks.get(key, 0.0) + weight
    return replace(profile, stacks=stacks)


def _waits(share: Share) -> str:
    return (
        f"{format_share(share)} of the edited code's thread time was waiting, so no share of"
        " samples bounds the gain: Amdahl's law counts work, and a queue grows out of proportion"
        " to the work behind it."
    )


def waiting_share(profile: Profile, atoms: Sequence[Atom]) -> Share:
    """How much of the thread time below the edited functions is waiting; 0 when they are in no
    sample.
    """
    inside = [
        (stack, w) for stack, w in profile.stacks.items() if any(holds(stack, a) for a in atoms)
    ]
    total = sum(w for _, w in inside)
    return (
        sum(
            w
            for stack, w in inside
            if stack[-1].kind == FrameKind.WAIT or stack[-1].function.startswith("[")
        )
        / total
        if total
        else 0.0
    )


def prediction_sentence(one: OneChange, stored: Run | None, knee: Knee | NoKnee | None) -> str:
    """What the stored run said a fix of the edited code would bring, against the knee that was
    measured; "" without either.
    """
    predicted = predicted_for(one, stored) if stored is not None else None
    if predicted is None or knee is None:
        return ""
    if isinstance(knee, Knee):
        return against_prediction(
            predicted, Interval(knee.rate, knee.low, knee.high, knee.passes, knee.confidence)
        )
    if knee.low is not None and knee.low > 0:
        return f"The prediction cannot be checked: {knee.reason}."
    return ""


def predicted_for(one: OneChange, stored: Run) -> WhatIf | None:
    """The stored what-if of the first finding that names edited code."""
    for finding in stored.findings:
        frame = Frame(finding.function, finding.file)
        if finding.what_if is not None and any(
            is_frame_of(frame, atom) for atom in one.change.functions
        ):
            return finding.what_if
    return None


def difference_picture(before: Sides, after: Sides, title: str) -> str:
    """A differential flame graph of the best pair of profiles there is, in time per request; ""
    when there is none.
    """
    for old, new in ((before.wall, after.wall), (before.cpu, after.cpu)):
        if old is not None and new is not None:
            costs = old.seconds_per_sample, new.seconds_per_sample
            known = (costs[0], costs[1]) if costs[0] and costs[1] else None
            return differential(
                _lasting(old.profile), _lasting(new.profile), f"What changed, {title}", known
            )
    return ""


def _lasting(profile: Profile) -> Profile:
    """The profile with sockets in the file system named alike: their paths differ from start to
    start.
    """
    stacks: dict[Stack, float] = {}
    for stack, weight in profile.stacks.items():
        last = (
            replace(stack[-1], function=_UNIX.sub("unix", stack[-1].function))
            if stack and stack[-1].kind == FrameKind.WAIT
            else None
        )
        key = (*stack[:-1], last) if last is not None else stack
        stacks[key] = stacks.get(key, 0.0) + weight
    return replace(profile, stacks=stacks)
