"""A flame graph of any profile, or of the difference of two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from perfhunt.errors import UsageError
from perfhunt.jobs.profiles.read import ProfileRead, read_profile
from perfhunt.jobs.profiles.uncollected import uncollected
from perfhunt.model.profile import FrameKind, Profile, ProfileMode, Stack, regrouped
from perfhunt.model.units import Share
from perfhunt.reports.pictures.flame_tree import RUNNING
from perfhunt.reports.pictures.flamegraph import NARROWEST, differential, elided, flamegraph
from perfhunt.store.files import write_atomic


@dataclass(frozen=True, slots=True)
class FlamegraphRequest:
    """What to draw: a profile, or with `after` the difference between both. `inverted`: leaves
    first; `by_state`: what ran and each wait apart; `elided`: only what vanished; `narrowest`: the
    share of the whole below which nothing is drawn. `output` None: the caller prints it.
    """

    source: str
    after: str = ""
    output: Path | None = None
    title: str = ""
    inverted: bool = False
    by_state: bool = False
    elided: bool = False
    narrowest: Share = NARROWEST
    source_format: str = ""
    value: str = ""
    store: Path = Path(".perfhunt")


@dataclass(frozen=True, slots=True)
class Flamegraph:
    """The SVG, and sentences about what was read."""

    svg: str
    notes: tuple[str, ...]


@uncollected()
def draw_flamegraph(request: FlamegraphRequest) -> Flamegraph:
    """The picture, written if there is an output. Raises UsageError, Unreadable, StoreError."""
    if request.elided and not request.after:
        raise UsageError(
            "what vanished shows only beside another profile", "perfhunt flamegraph A B --elided"
        )
    names = [name for name in (request.source, request.after) if name]
    read = [
        read_profile(name, request.store, request.source_format, request.value) for name in names
    ]
    profiles = [_arranged(each, request) for each in read]
    title = request.title or " -> ".join(each.name for each in read)
    svg = (
        _difference(read, profiles, title, request)
        if request.after
        else flamegraph(profiles[0], title, narrowest=request.narrowest)
    )
    if request.output is not None:
        write_atomic(request.output, svg)
    notes = dict.fromkeys(note for profile in profiles for note in profile.notes)
    return Flamegraph(svg, (*_unlike(profiles), *notes))


def _unlike(profiles: list[Profile]) -> tuple[str, ...]:
    """What differs between two profiles for no other reason than how they were taken."""
    modes = {profile.mode for profile in profiles} - {ProfileMode.NONE, ProfileMode.UNKNOWN}
    if len(modes) < 2:
        return ()
    return (f"they count different things, {' and '.join(sorted(modes))}: much differs by that",)


def _difference(
    read: list[ProfileRead], profiles: list[Profile], title: str, request: FlamegraphRequest
) -> str:
    before, after = profiles
    if before.unit != after.unit:
        raise UsageError(
            f"{read[0].name} counts {before.unit}, {read[1].name} {after.unit}",
            "Choose what both have with --value.",
        )
    drawn = elided if request.elided else differential
    return drawn(before, after, title, narrowest=request.narrowest)


def _arranged(read: ProfileRead, request: FlamegraphRequest) -> Profile:
    profile = read.profile
    if request.by_state:
        if not any(stack and stack[-1].kind == FrameKind.WAIT for stack in profile.stacks):
            raise UsageError(
                f"{read.name} does not say who waited",
                "A run's waits do (last:knee-waits), and Austin's full metrics (austin --full).",
            )
        profile = _regrouped(profile, _by_state)
    return _regrouped(profile, _inverted) if request.inverted else profile


def _regrouped(profile: Profile, changed: Callable[[Stack], Stack]) -> Profile:
    return replace(profile, stacks=regrouped(profile.stacks, changed))


def _by_state(stack: Stack) -> Stack:
    """The stack below its state: what its leaf waits for, or `running`."""
    if stack and stack[-1].kind == FrameKind.WAIT:
        return (stack[-1], *stack[:-1])
    return (RUNNING, *stack)


def _inverted(stack: Stack) -> Stack:
    return tuple(reversed(stack))
