"""Instants as a profile: where threads spend their time, waits included, with waiting for work left
out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from perfhunt.analysis.blame.idle import IdlePaths
from perfhunt.analysis.blame.reading import EvidenceReading
from perfhunt.analysis.blame.snapshots import FUTEX
from perfhunt.model.profile import (
    Frame,
    FrameKind,
    Instants,
    Profile,
    ProfileMode,
    SpanName,
    Stack,
    ThreadSample,
)
from perfhunt.model.states import ThreadState

_WORKING = frozenset({ThreadState.ON_CPU, ThreadState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class WallProfile:
    """What instants say of one span: where threads worked or waited, and the mean number of threads
    that waited for work, by the state they waited in.
    """

    profile: Profile
    idle: dict[str, float]


def wall_profiles(reading: EvidenceReading) -> dict[SpanName, WallProfile]:
    """By span, those that have instants."""
    spans = {SpanName.BASELINE: reading.baseline, SpanName.KNEE: reading.knee}
    return {
        name: wall_profile(of_span.span.instants, reading.idle)
        for name, of_span in spans.items()
        if of_span is not None and of_span.span.instants is not None
    }


def wall_profile(instants: Instants, idle: IdlePaths) -> WallProfile:
    """Thread-instants by stack; a thread that waits has its state on top, as `[lock]` or `[socket
    10.0.0.5:5432]`.

    Divide a weight by `ticks` for the mean number of threads there; idle workers are left out.
    """
    weights: Counter[Stack] = Counter()
    waiting: Counter[str] = Counter()
    for thread in (t for instant in instants for t in instant.threads):
        if idle.covers(thread):
            waiting[thread.state] += 1
        elif thread.stack:
            weights[_with_wait(thread)] += 1
    profile = Profile(
        tool="thread snapshots",  # by whichever reader could look: the trial names it
        version="",
        mode=ProfileMode.WALL,
        rate_hz=len(instants) / instants.seconds if instants.seconds else 0.0,
        seconds=instants.seconds,
        stacks={stack: float(weight) for stack, weight in weights.items()},
        ticks=len(instants),
        errors=instants.errors,
    )
    return WallProfile(profile, {state: n / len(instants) for state, n in waiting.items()})


def _with_wait(thread: ThreadSample) -> Stack:
    """The stack, with what the thread waits for on top. Addresses of locks are left out: they
    differ from start to start.
    """
    if thread.state in _WORKING:
        return thread.stack
    where = thread.wait_on if not thread.wait_on.startswith(FUTEX) else ""
    name = f"[{thread.state} {where}]" if where else f"[{thread.state}]"
    return (*thread.stack, Frame(name, kind=FrameKind.WAIT))
