"""The ways through the application's code on which cost was seen: each function's, weighted by what
it costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from perfhunt.analysis.blame.frames import (
    Code,
    FunctionKey,
    call_path,
    enclosing,
    is_anonymous,
)
from perfhunt.analysis.blame.idle import IdlePaths
from perfhunt.analysis.blame.snapshots import Snapshots
from perfhunt.model.profile import Profile, Stack
from perfhunt.model.states import ThreadState

_RUNNABLE = frozenset(
    {ThreadState.ON_CPU, ThreadState.RUN_QUEUE, ThreadState.GIL, ThreadState.LOOP}
)


class Call(NamedTuple):
    """A function on the way, and the line it had reached."""

    key: FunctionKey
    line: int | None


class Way(NamedTuple):
    """The application's functions on a stack, root first. `inner`: code of others on top of it."""

    calls: tuple[Call, ...]
    inner: bool


class Charge(NamedTuple):
    """What a function costs, in whatever unit, and whether it waits rather than runs."""

    weight: float
    waits: bool


@dataclass(frozen=True, slots=True)
class Trail:
    """A way, the samples it was seen in, and what of its last function's cost belongs to it."""

    calls: tuple[Call, ...]
    inner: bool
    samples: float
    weight: float
    waits: bool

    @property
    def leaf(self) -> FunctionKey:
        return self.calls[-1].key


def trails_of(
    profile: Profile | None,
    snapshots: Snapshots,
    code: Code,
    idle: IdlePaths,
    charges: Mapping[FunctionKey, Charge],
) -> tuple[Trail, ...]:
    """Where the cost of every function was seen: of one that runs in the profile, of one that waits
    in the instants, each in the other where it was not seen there.
    """
    stacks = profile.stacks.items() if profile is not None else ()
    ran = _ways(((s, w) for s, w in stacks if call_path(s) not in idle.paths), code)
    at_instants = [s for present in snapshots for s in present]
    waited = _ways(((s.sample.stack, 1.0) for s in at_instants if s.state not in _RUNNABLE), code)
    seen = _ways(((s.sample.stack, 1.0) for s in at_instants), code)
    trails = []
    for key, charge in sorted(charges.items()):
        order = (waited, seen, ran) if charge.waits else (ran, seen, waited)
        ways: Mapping[Way, float] = next((w[key] for w in order if w.get(key)), {})
        whole = sum(ways.values())
        trails += [
            Trail(
                calls=way.calls,
                inner=way.inner,
                samples=n,
                weight=charge.weight * n / whole,
                waits=charge.waits,
            )
            for way, n in ways.items()
            if whole
        ]
    return tuple(trails)


def _ways(stacks: Iterable[tuple[Stack, float]], code: Code) -> dict[FunctionKey, dict[Way, float]]:
    """By the function they end in, the ways of these stacks."""
    ways: dict[FunctionKey, dict[Way, float]] = {}
    for stack, weight in stacks:
        way = way_of(stack, code)
        if way is not None:
            to_here = ways.setdefault(way.calls[-1].key, {})
            to_here[way] = to_here.get(way, 0.0) + weight
    return ways


def way_of(stack: Stack, code: Code) -> Way | None:
    """The application's way through a stack; its owner alone where nothing of it is the
    application's, None where it has no owner.
    """
    calls: list[Call] = []
    for index, frame in enumerate(stack):
        if not code.is_app(frame):
            continue
        call = Call(enclosing(stack, index).key, frame.line)
        # A comprehension is a place in the function that wrote it, not a call.
        if calls and calls[-1].key == call.key and is_anonymous(frame):
            calls[-1] = call
        else:
            calls.append(call)
    if calls:
        return Way(tuple(calls), inner=not code.is_app(stack[-1]))
    owner = code.owner(stack)
    return Way((Call(owner.key, owner.frame.line),), inner=False) if owner is not None else None
