"""Instants as a profile: where threads spend their time, waits included, with waiting for work left
out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.blame.idle import IdleBook
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.model.profile import Frame, FrameKind, Instants, Profile, ProfileMode, Stack
from perfhunt.model.states import ThreadState

RUNNING = (str(ThreadState.ON_CPU), str(ThreadState.UNKNOWN))


def wall_profile(instants: Instants, idle: IdleBook) -> Profile:
    """Thread-instants by stack; a thread that waits has its state on top, as `[lock]` or `[socket
    10.0.0.5:5432]`.

    Divide a weight by `ticks` for the mean number of threads there; idle workers are left out.
    """
    stacks: dict[Stack, float] = {}
    for instant in instants:
        for thread in instant.threads:
            if not thread.stack or idle.covers(thread):
                continue
            stack = (
                thread.stack
                if thread.state in RUNNING
                else (*thread.stack, waiting(thread.state, thread.wait_on))
            )
            stacks[stack] = stacks.get(stack, 0.0) + 1.0
    rate = len(instants) / instants.seconds if instants.seconds else 0.0
    return Profile(
        "py-spy dump",
        "",
        ProfileMode.WALL,
        rate,
        instants.seconds,
        stacks,
        ticks=len(instants),
        errors=instants.errors,
    )


def idle_threads(instants: Instants, idle: IdleBook) -> dict[str, float]:
    """Mean number of threads that waited for work, by the state they waited in."""
    counts = Counter(t.state for instant in instants for t in instant.threads if idle.covers(t))
    return (
        {state: count / len(instants) for state, count in counts.items()} if len(instants) else {}
    )


def waiting(state: str, wait_on: str) -> Frame:
    """What a thread waits for, as a frame. Addresses of locks are left out: they differ from start
    to start.
    """
    where = "" if not wait_on or wait_on.startswith("futex") else f" {wait_on}"
    return Frame(f"[{state}{where}]", kind=FrameKind.WAIT)


@dataclass(frozen=True, slots=True)
class Wall:
    """What instants say of one span: the wall profile, and who waited for work."""

    profile: Profile
    idle: dict[str, float]


def walls(evidence: Evidence) -> dict[str, Wall]:
    """By span, "knee" and "baseline", those that have instants."""
    spans = {"baseline": evidence.baseline, "knee": evidence.knee}
    book = read_evidence(evidence).idle
    return {
        name: Wall(wall_profile(span.instants, book), idle_threads(span.instants, book))
        for name, span in spans.items()
        if span is not None and span.instants is not None
    }


def wait_profiles(evidence: Evidence) -> dict[str, Profile]:
    """The wall profiles by span."""
    return {name: wall.profile for name, wall in walls(evidence).items()}
